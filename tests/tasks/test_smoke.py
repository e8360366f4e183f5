"""--smoke: a command's own training, resumption and evaluation on a few images, of which nothing is kept."""

import tempfile
from pathlib import Path

import pytest

from vocctl.cli.app import main
from vocctl.config import TrainSegConfig, given
from vocctl.runs.folder import RunFolder
from vocctl.tasks import evaluate_seg, train_seg
from vocctl.tasks.smoke import smoke

SEG = ["train-seg", "--encoder", "scratch", "--decoder", "unet", "--widths", "8,8,8"]
CLS = ["train-cls", "--model", "scratch"]
SMALL = ["--size", "32", "--size-from", "0", "--batch", "2", "--quiet", "--smoke"]


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder and an empty folder for temporary files."""
    (tmp_path / "cwd").mkdir()
    (tmp_path / "temp").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))
    return tmp_path


def check_nothing_is_kept(folders: Path) -> None:
    assert list((folders / "cwd").iterdir()) == []
    assert list((folders / "temp").iterdir()) == []


@pytest.mark.parametrize(
    "command", [SEG, CLS, [*SEG, "--folds", "3"], [*CLS, "--val", "0.3", "--minutes", "5", "--freeze-epochs", "9"]]
)
def test_smoke_test_passes_and_keeps_nothing(command, tiny_set, folders, capsys):
    assert main([*command, "--data", str(tiny_set), *SMALL]) == 0
    *_, measured, last = capsys.readouterr().out.splitlines()
    assert last == "smoke test passed"
    assert "s per step of 2 images" in measured
    check_nothing_is_kept(folders)


def test_smoke_test_of_a_generator_leaves_its_victims_as_they_were(trained, folders, capsys):
    before = sorted(trained.seg.rglob("*")), (trained.seg / "run.json").stat().st_mtime
    targets = ["--target", str(trained.seg), "--target", str(trained.cls)]
    flags = ["--generator", "unet", "--width", "8", "--depth", "1"]
    assert main(["train-adv", *targets, *flags, "--data", str(trained.data), *SMALL]) == 0
    assert capsys.readouterr().out.endswith("smoke test passed\n")
    assert (sorted(trained.seg.rglob("*")), (trained.seg / "run.json").stat().st_mtime) == before
    check_nothing_is_kept(folders)


def test_the_run_is_interrupted_resumed_and_evaluated(tiny_set):
    """8 training images, batches of 2: an epoch has 4 batches. A smoke test takes 3 images: one step in each epoch."""
    config = given(
        TrainSegConfig(), path=str(tiny_set), encoder="scratch", decoder="unet", widths=(8, 8, 8), size=32, batch=2
    )
    evaluated = []

    def evaluate(run: Path, small: TrainSegConfig) -> None:
        evaluated.append((RunFolder(run).read_metrics(), RunFolder(run).info()["data"], small.train.batch))
        evaluate_seg.evaluate(str(run))

    stages: list[str] = []
    result = smoke(config, run=train_seg.run, resume=train_seg.resume, evaluate=evaluate, on_stage=stages.append)
    ((metrics, data, batch),) = evaluated
    assert [line["step"] for line in metrics] == [1, 2, 3]
    assert (data["train"], data["val"], batch) == (3, 4, 2)
    assert stages[-2:] == ["resuming", "evaluating"]
    assert (result.train_images, result.val_images, result.batch) == (8, 4, 2)
    assert result.epoch_seconds == pytest.approx(4 * result.step_seconds)


@pytest.mark.parametrize("folder", ["JPEGImages", "SegmentationClass"])
@pytest.mark.parametrize("number", [3, 9])
def test_a_missing_file_of_either_split_is_found(tiny, folders, folder, number, capsys):
    (path,) = (tiny / "VOCdevkit" / "VOC2009" / folder).glob(f"tiny_{number:03d}.*")
    path.unlink()
    assert main([*SEG, "--data", str(tiny), *SMALL]) == 3
    assert path.name.split(".")[0] in capsys.readouterr().err
    check_nothing_is_kept(folders)


def test_a_damaged_image_is_named_in_the_user_s_folder(tiny, folders, capsys):
    for path in (tiny / "VOCdevkit" / "VOC2009" / "JPEGImages").iterdir():
        path.write_bytes(path.read_bytes()[:-200])
    assert main([*CLS, "--data", str(tiny), *SMALL]) == 3
    assert str(tiny / "VOCdevkit") in capsys.readouterr().err
    check_nothing_is_kept(folders)


@pytest.mark.parametrize(
    ("flags", "code", "text"),
    [
        (["--batch", "1"], 2, "take --batch 2 or a larger --size"),
        (["--lr", "1e30", "--clip-norm", "0", "--precision", "fp32"], 1, "the loss is not finite"),
        (["--weights", "none.pth", "--encoder", "resnet18"], 3, "none.pth is missing"),
        (["--resume", "x"], 2, "--resume uses the run's saved settings"),
    ],
)
def test_an_error_of_the_run_stops_the_smoke_test(flags, code, text, tiny_set, folders, capsys):
    assert main([*SEG, "--data", str(tiny_set), *SMALL, *flags]) == code
    error = capsys.readouterr().err
    assert text in error
    assert len(error.splitlines()) == 1
    check_nothing_is_kept(folders)
