"""Whatever a user gets wrong ends in one line that says what to do, and in its exit code; nothing half-written stays."""

import errno
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vocctl.cli.app import main
from vocctl.tasks import download as download_task

SMALL = ["--encoder", "scratch", "--widths", "8,8,8", "--size", "32", "--batch", "2", "--epochs", "1", "--quiet"]


def devkit(root: Path) -> Path:
    return root / "VOCdevkit" / "VOC2009"


def fails(capsys: pytest.CaptureFixture[str], args: list[str], code: int, *says: str) -> None:
    """The command ends with the code and one line on stderr that holds each of says."""
    assert main(args) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    for text in says:
        assert text in lines[0]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


def train(data: Path, *flags: str) -> list[str]:
    return ["train-seg", "--data", str(data), *SMALL, *flags]


def test_a_missing_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    fails(capsys, train(tmp_path / "nowhere"), 3, "nowhere is not a folder", "vocctl download")
    assert not Path("runs").exists()


def test_a_folder_that_is_no_data_set(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    fails(capsys, train(tmp_path), 3, "is not a data set", "Fix --data")


def test_an_empty_split(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    (devkit(tiny) / "ImageSets" / "Segmentation" / "train.txt").write_text("\n")
    fails(capsys, train(tiny), 3, "train.txt is empty")


def test_a_split_that_is_not_there(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    fails(capsys, train(tiny, "--val-split", "test"), 3, "test.txt is missing", "train, trainval, val")


def test_a_mask_of_another_size(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    mask = devkit(tiny) / "SegmentationClass" / "tiny_003.png"
    with Image.open(mask) as image:
        image.resize((16, 16)).save(mask)
    fails(capsys, train(tiny), 3, "tiny_003.png is 16 x 16 pixels, its image 32 x 32", "replace the mask")
    assert not Path("runs").exists()


def test_a_mask_with_label_77(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    path = devkit(tiny) / "SegmentationClass" / "tiny_003.png"
    mask = np.zeros((32, 32), np.uint8)
    mask[5, 5] = 77
    Image.fromarray(mask).save(path)
    fails(capsys, train(tiny), 3, "tiny_003.png has label 77", "fix it")


def test_an_rgb_mask(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    Image.new("RGB", (32, 32)).save(devkit(tiny) / "SegmentationClass" / "tiny_003.png")
    fails(capsys, train(tiny), 3, "tiny_003.png is a RGB mask", "mode P")


def test_a_truncated_image(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    path = devkit(tiny) / "JPEGImages" / "tiny_003.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    fails(capsys, train(tiny), 3, "tiny_003.jpg cannot be decoded", "replace it")


def test_the_audit_lists_every_bad_file_and_ends_with_code_3(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    (devkit(tiny) / "JPEGImages" / "tiny_001.jpg").unlink()
    Image.new("RGB", (32, 32)).save(devkit(tiny) / "SegmentationClass" / "tiny_003.png")
    assert main(["download", "--check", str(tiny), "--quiet"]) == 3
    said = capsys.readouterr()
    assert "tiny_001.jpg" in said.out
    assert "tiny_003.png" in said.out
    assert "2 problems" in said.err


def test_the_audit_of_sound_data_ends_with_0(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    assert main(["download", "--check", str(tiny), "--quiet"]) == 0
    assert "12 images checked, 0 problems" in capsys.readouterr().out


def tar_of(path: Path, name: str) -> Path:
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo(name)
        member.size = 4
        archive.addfile(member, io.BytesIO(b"evil"))
    return path


def test_an_archive_with_the_wrong_md5(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "voc.tar", "VOCdevkit/VOC2009/x")
    fails(
        capsys,
        ["download", "voc2009", "--archive", str(archive), "--quiet"],
        3,
        "md5",
        "a3e00b113cfcfebf17e343f59da3caa1",
    )
    assert archive.exists()  # the user's file is never deleted
    assert not Path("data/voc2009").exists()


def test_an_archive_that_climbs_out(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_task, "check_md5", lambda path, md5: None)
    archive = tar_of(tmp_path / "voc.tar", "../../climbed")
    fails(capsys, ["download", "voc2009", "--archive", str(archive), "--quiet"], 3, "../../climbed")
    assert not list(tmp_path.rglob("climbed"))


def test_a_dead_server(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    address = "http://127.0.0.1:9/voc.tar"
    fails(capsys, ["download", "voc2009", "--url", address, "--quiet"], 4, "127.0.0.1:9", "--archive")
    assert not Path("data/voc2009").exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["train-seg", "--epoch", "3"], "no option --epoch, did you mean --epochs?"),
        (["trian-seg"], "'trian-seg' is not a command, did you mean train-seg?"),
        (["train-seg", "--epochs", "many"], "--epochs"),
        (["train-seg", "--epochs", "0"], "epochs is 1 or more, got 0"),
        (["train-seg", "--loss", "dise"], "did you mean dice?"),
        (["train-seg", "--decoder", "fpn", "--no-skip"], "fpn cannot do without its skip connections"),
        (["train-seg", "--widths", "a,b"], "--widths takes numbers"),
        (["train-seg", "--resume", "x", "--epochs", "3"], "omit all other flags"),
        (["download", "vco2009"], "did you mean voc2009?"),
        (["download"], "give either a data set to download"),
        (["eval"], "RUN"),
    ],
)
def test_misspelt_and_misused_flags(capsys: pytest.CaptureFixture[str], args: list[str], says: str) -> None:
    fails(capsys, args, 2, says)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--encoder", "resnet188"], "did you mean resnet18?"),
        (["--encoder", "vit_tiny_patch16_224", "--widths", "8,8,8"], "use --decoder dpt"),
        (["--encoder", "resnet18", "--decoder", "dpt"], "dpt reads the blocks of a plain ViT"),
        (["--decoder", "fpn"], "omit --decoder"),
        (["--widths", "8,8"], "needs 3 decoder widths"),
        (["--device", "cuda:99"], "device cuda:99 is not on this machine"),
        (["--name", "a/b"], "--name a/b"),
    ],
)
def test_models_that_cannot_be(capsys: pytest.CaptureFixture[str], tiny: Path, flags: list[str], says: str) -> None:
    fails(capsys, train(tiny, *flags), 2, says)
    assert not Path("runs").exists()


CLASSIFIER = ["--model", "scratch", "--size", "32", "--batch", "2", "--epochs", "1", "--quiet"]


def classify(data: Path, *flags: str) -> list[str]:
    return ["train-cls", "--data", str(data), *CLASSIFIER, *flags]


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (["--model", "resnet_18"], 2, "did you mean resnet18?"),
        (["--loss", "bec"], 2, "did you mean bce?"),
        (["--thresholds", "best"], 2, "thresholds is one of per-class, global, 0.5"),
        (["--monitor", "mean_iou"], 2, "monitor is one of map_11_point"),
        (["--layer-decay", "0"], 2, "--layer-decay is a factor in (0, 1]"),
        (["--folds", "3", "--fold", "3"], 2, "fold is in 0..folds-1"),
        (["--val", "0.2", "--folds", "3"], 2, "mutually exclusive"),
        (["--val", "0.001"], 3, "change --val or --folds"),
        (["--weights", "x.pth"], 2, "uses no pretrained weights"),
        (["--val-split", "test"], 3, "the splits with class lists are train, trainval, val"),
    ],
)
def test_classifiers_that_cannot_be(
    capsys: pytest.CaptureFixture[str], tiny: Path, flags: list[str], code: int, says: str
) -> None:
    fails(capsys, classify(tiny, *flags), code, says)
    assert not Path("runs").exists()


def test_class_lists_that_do_not_match(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    path = devkit(tiny) / "ImageSets" / "Main" / "cat_train.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    fails(capsys, classify(tiny), 3, "cat_train.txt", "list different images (tiny_000)")
    assert not Path("runs").exists()


def test_a_image_of_a_classifier_that_does_not_decode(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    path = devkit(tiny) / "JPEGImages" / "tiny_009.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    fails(capsys, classify(tiny), 3, "tiny_009.jpg cannot be decoded", "replace it")
    assert not Path("runs").exists()


def test_runs_of_the_wrong_task(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    assert main(classify(tiny, "--name", "cls")) == 0
    assert main(train(tiny, "--name", "seg")) == 0
    capsys.readouterr()
    fails(capsys, ["train-seg", "--resume", "cls"], 3, "is a run of train-cls, not of train-seg")
    fails(capsys, ["eval", "seg", "--ci", "10"], 2, "--ci requires runs of train-cls")
    fails(capsys, ["eval", "seg", "cls", "--ensemble"], 2, "--ensemble requires runs of train-cls")
    fails(capsys, ["eval", "cls", "--compare"], 2, "--compare takes two runs, got 1")
    fails(capsys, ["eval", "cls", "--split", "test"], 3, "the splits with class lists are")
    fails(capsys, ["train-cls", "--resume", "cls"], 2, "has finished")


def test_a_misspelt_key_in_the_config(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[optim]\nlearning_rat = 1\nlrr = 0.1\n")
    fails(capsys, ["train-seg", "--config", str(tmp_path / "run.toml")], 2, "[optim]", "unknown key")
    (tmp_path / "run.toml").write_text("[optm]\nlr = 0.1\n")
    fails(capsys, ["train-seg", "--config", str(tmp_path / "run.toml")], 2, "'optm', did you mean optim?")


def test_a_run_name_that_is_taken(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    kept = Path("runs/seg/mine/run.json")
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    fails(capsys, train(tiny, "--name", "mine"), 2, "runs/seg/mine exists", "--resume")
    assert kept.read_text() == "{}"


@pytest.mark.parametrize(
    "command", [["eval"], ["plot"], ["report"], ["export"], ["train-seg", "--resume"], ["predict", ".", "--run"]]
)
def test_a_folder_that_is_no_run(capsys: pytest.CaptureFixture[str], tiny: Path, command: list[str]) -> None:
    Image.new("RGB", (8, 8)).save("image.png")
    fails(capsys, [*command, str(tiny)], 3, "is not a run")
    fails(capsys, [*command, "nothing"], 3, "no run nothing")


def test_no_space_left_while_decoding(
    capsys: pytest.CaptureFixture[str], tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("vocctl.data.cache_build.json.dumps", full)
    fails(capsys, train(tiny), 1, "No space left on device", "free space")


def test_no_space_left_while_training(
    capsys: pytest.CaptureFixture[str], tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    fails(capsys, train(tiny, "--name", "full"), 1, "No space left on device", "free space", "--resume")
    assert not list(Path("runs/seg/full/state").iterdir())


def test_weights_of_another_model(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    assert main(train(tiny, "--name", "one")) == 0
    capsys.readouterr()
    Path("runs/seg/one/config.toml").write_text(
        Path("runs/seg/one/config.toml").read_text().replace("skip = true", "skip = false")
    )
    fails(capsys, ["eval", "one", "--quiet"], 3, "best.safetensors does not fit")


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "locked/run"), 3, "locked/run cannot be used"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x"), 3, "x cannot be used (File name too long)"),
        (MemoryError(), 5, "out of memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), 5, "out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 5, "out of memory"),
    ],
    ids=["rights", "long name", "host", "torch on a CPU", "torch on a GPU"],
)
def test_what_the_machine_refuses(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, raised: Exception, code: int, says: str
) -> None:
    def refuse(*_: object) -> None:
        raise raised

    monkeypatch.setattr("vocctl.tasks.list_runs.list_runs", refuse)
    fails(capsys, ["runs"], code, says)


@pytest.mark.parametrize("fault", [OSError(errno.EIO, "Input/output error"), RuntimeError("a shape is wrong")])
def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    def broken(*_: object) -> None:
        raise fault

    monkeypatch.setattr("vocctl.tasks.list_runs.list_runs", broken)
    with pytest.raises(type(fault), match=str(fault.args[-1])):
        main(["runs"])


def test_a_name_that_is_too_long_for_the_disk(capsys: pytest.CaptureFixture[str]) -> None:
    fails(capsys, ["eval", "x" * 5000], 3, "xxx")


def test_pictures_and_reports_of_what_is_not_there(capsys: pytest.CaptureFixture[str], trained, tmp_path: Path) -> None:
    seg = str(trained.seg)
    fails(capsys, ["plot", seg, "--kind", "curvs"], 2, "did you mean curves?")
    fails(capsys, ["plot", seg, "--kind", "errors"], 3, "errors needs a run of train-cls")
    fails(capsys, ["plot", seg, "--format", "jpg"], 2, "--format", "png, svg, pdf")
    fails(capsys, ["report", seg, "-o", "report.pdf"], 2, "takes an .html file")
    fails(capsys, ["report", seg, "-o", "nowhere/report.html"], 2, "in an existing folder")
    fails(capsys, ["export", seg, "--format", "tflite"], 2, "--format is onnx")
    fails(capsys, ["runs", "nowhere"], 3, "nowhere is not a folder")
    (tmp_path / "taken").write_text("")
    fails(capsys, ["plot", seg, "--kind", "curves", "--out", str(tmp_path / "taken")], 1, "cannot be written")
    (trained.seg / "eval").rename(trained.seg / "elsewhere")
    fails(capsys, ["plot", seg, "--kind", "masks"], 3, "has no predictions yet", "vocctl eval")


def test_an_image_that_cannot_be_read(capsys: pytest.CaptureFixture[str], trained, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "broken.jpg").write_bytes(b"no image")
    Image.new("RGB", (8, 8)).save(folder / "fine.png")
    fails(capsys, ["predict", str(folder), "--run", str(trained.seg), "--quiet"], 3, "1 of 2 images", "broken.jpg")
    assert Path("predictions/fine.png").is_file()
    fails(capsys, ["predict", "gone.jpg", "--run", str(trained.seg)], 3, "neither an image nor a folder")
