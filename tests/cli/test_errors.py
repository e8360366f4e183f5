"""Mistakes of a user end with one line that says how to fix them and with their exit code; no incomplete files remain."""

import errno
import io
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vocctl.cli.app import main
from vocctl.data.images import read_mask, write_mask
from vocctl.tasks import download as download_task

SMALL = [
    "--encoder", "scratch", "--decoder", "unet", "--widths", "8,8,8", "--size", "32",
    "--batch", "2", "--epochs", "1", "--quiet",
]  # fmt: skip


def devkit(root: Path) -> Path:
    return root / "VOCdevkit" / "VOC2009"


def check_failure(capsys: pytest.CaptureFixture[str], args: list[str], code: int, *texts: str) -> None:
    """The command ends with the exit code and one line on stderr that contains the texts."""
    assert main(args) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    for text in texts:
        assert text in lines[0]


@pytest.fixture(autouse=True)
def _empty_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


def train(data: Path, *flags: str) -> list[str]:
    return ["train-seg", "--data", str(data), *SMALL, *flags]


def test_data_folder_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    check_failure(capsys, train(tmp_path / "nowhere"), 3, "nowhere is not a folder", "vocctl download")
    assert not Path("runs").exists()


def test_folder_is_not_a_data_set(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    check_failure(capsys, train(tmp_path), 3, "is not a data set", "Fix --data")


def test_split_is_empty(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    (devkit(tiny) / "ImageSets" / "Segmentation" / "train.txt").write_text("\n")
    check_failure(capsys, train(tiny), 3, "train.txt is empty")


def test_split_does_not_exist(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    check_failure(capsys, train(tiny, "--val-split", "test"), 3, "test.txt is missing", "train, trainval, val")


def test_mask_differs_in_size_from_its_image(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    mask = devkit(tiny) / "SegmentationClass" / "tiny_003.png"
    with Image.open(mask) as image:
        image.resize((16, 16)).save(mask)
    check_failure(capsys, train(tiny), 3, "tiny_003.png is 16 x 16 pixels, its image 32 x 32", "replace the mask")
    assert not Path("runs").exists()


def test_mask_has_an_unknown_label(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    path = devkit(tiny) / "SegmentationClass" / "tiny_003.png"
    mask = np.zeros((32, 32), np.uint8)
    mask[5, 5] = 77
    Image.fromarray(mask).save(path)
    check_failure(capsys, train(tiny), 3, "tiny_003.png has label 77", "fix it")


def test_mask_has_a_color_that_voc_does_not_have(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    Image.new("RGB", (32, 32), (1, 2, 3)).save(devkit(tiny) / "SegmentationClass" / "tiny_003.png")
    check_failure(capsys, train(tiny), 3, "tiny_003.png", "(1, 2, 3)")


def test_image_is_truncated(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    path = devkit(tiny) / "JPEGImages" / "tiny_003.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    check_failure(capsys, train(tiny), 3, "tiny_003.jpg cannot be decoded", "replace it")


def test_check_lists_every_bad_file_and_exits_with_3(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    (devkit(tiny) / "JPEGImages" / "tiny_001.jpg").unlink()
    Image.new("RGB", (32, 32), (1, 2, 3)).save(devkit(tiny) / "SegmentationClass" / "tiny_003.png")
    assert main(["download", "--check", str(tiny), "--quiet"]) == 3
    printed = capsys.readouterr()
    assert "tiny_001.jpg" in printed.out
    assert "tiny_003.png" in printed.out
    assert "2 problems" in printed.err


def test_check_of_valid_data_exits_with_0(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    assert main(["download", "--check", str(tiny), "--quiet"]) == 0
    assert "12 images checked, 0 problems" in capsys.readouterr().out


def tar_of(path: Path, name: str) -> Path:
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo(name)
        member.size = 4
        archive.addfile(member, io.BytesIO(b"evil"))
    return path


def test_archive_has_a_wrong_md5(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "voc.tar", "VOCdevkit/VOC2009/x")
    check_failure(
        capsys,
        ["download", "voc2009", "--archive", str(archive), "--quiet"],
        3,
        "md5",
        "a3e00b113cfcfebf17e343f59da3caa1",
    )
    assert archive.exists()  # the user's file is never deleted
    assert not Path("data/voc2009").exists()


def test_archive_member_leaves_the_target_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_task, "check_md5", lambda path, md5: None)
    archive = tar_of(tmp_path / "voc.tar", "../../climbed")
    check_failure(capsys, ["download", "voc2009", "--archive", str(archive), "--quiet"], 3, "../../climbed")
    assert not list(tmp_path.rglob("climbed"))


def test_server_is_unreachable(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    address = "http://127.0.0.1:9/voc.tar"
    check_failure(capsys, ["download", "voc2009", "--url", address, "--quiet"], 4, "127.0.0.1:9", "--archive")
    assert not Path("data/voc2009").exists()


@pytest.mark.parametrize(
    ("args", "text"),
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
def test_misspelled_and_wrong_flags(capsys: pytest.CaptureFixture[str], args: list[str], text: str) -> None:
    check_failure(capsys, args, 2, text)


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--encoder", "resnet188"], "did you mean resnet18?"),
        (["--encoder", "vit_tiny_patch16_224", "--decoder", "unet"], "use --decoder linear, mlp or dpt"),
        (["--encoder", "resnet18", "--decoder", "dpt"], "dpt reads the blocks of a plain ViT"),
        (["--decoder", "fpn"], "omit --decoder"),
        (["--decoder", "unet", "--widths", "8,8"], "needs 3 decoder widths"),
        (["--device", "cuda:99"], "device cuda:99 is not on this machine"),
        (["--name", "a/b"], "--name a/b"),
    ],
)
def test_impossible_segmenters(capsys: pytest.CaptureFixture[str], tiny: Path, flags: list[str], text: str) -> None:
    check_failure(capsys, train(tiny, *flags), 2, text)
    assert not Path("runs").exists()


CLASSIFIER = ["--model", "scratch", "--size", "32", "--batch", "2", "--epochs", "1", "--quiet"]


def classify(data: Path, *flags: str) -> list[str]:
    return ["train-cls", "--data", str(data), *CLASSIFIER, *flags]


@pytest.mark.parametrize(
    ("flags", "code", "text"),
    [
        (["--model", "resnet_18"], 2, "did you mean resnet18?"),
        (["--loss", "bec"], 2, "did you mean bce?"),
        (["--thresholds", "best"], 2, "thresholds is one of per-class, global, 0.5"),
        (["--monitor", "mean_iou"], 2, "monitor is one of map_11_point"),
        (["--layer-decay", "0"], 2, "--layer-decay is a factor in (0, 1]"),
        (["--folds", "3", "--fold", "3"], 2, "fold is in 0..2 with --folds 3"),
        (["--val", "0.2", "--folds", "3"], 2, "mutually exclusive"),
        (["--val", "0.001"], 3, "change --val or --folds"),
        (["--weights", "x.pth"], 2, "uses no pretrained weights"),
        (["--val-split", "test"], 3, "the splits with class lists are train, trainval, val"),
    ],
)
def test_impossible_classifiers(
    capsys: pytest.CaptureFixture[str], tiny: Path, flags: list[str], code: int, text: str
) -> None:
    check_failure(capsys, classify(tiny, *flags), code, text)
    assert not Path("runs").exists()


def test_class_lists_differ(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    path = devkit(tiny) / "ImageSets" / "Main" / "cat_train.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    check_failure(capsys, classify(tiny), 3, "cat_train.txt", "list different images (tiny_000)")
    assert not Path("runs").exists()


def test_truncated_image_of_a_classifier(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    path = devkit(tiny) / "JPEGImages" / "tiny_009.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    check_failure(capsys, classify(tiny), 3, "tiny_009.jpg cannot be decoded", "replace it")
    assert not Path("runs").exists()


def test_runs_of_the_wrong_task(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    assert main(classify(tiny, "--name", "cls")) == 0
    assert main(train(tiny, "--name", "seg")) == 0
    capsys.readouterr()
    check_failure(capsys, ["train-seg", "--resume", "cls"], 3, "is a run of train-cls, not of train-seg")
    check_failure(capsys, ["eval", "seg", "--ci", "10"], 2, "--ci requires runs of train-cls")
    check_failure(capsys, ["eval", "seg", "cls", "--ensemble"], 2, "--ensemble requires runs of train-cls")
    check_failure(capsys, ["eval", "cls", "--compare"], 2, "--compare takes two runs, got 1")
    check_failure(capsys, ["eval", "cls", "--split", "test"], 3, "the splits with class lists are")
    check_failure(capsys, ["train-cls", "--resume", "cls"], 2, "has finished")


def test_config_file_has_a_misspelled_key(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text("[optim]\nlearning_rat = 1\nlrr = 0.1\n")
    check_failure(capsys, ["train-seg", "--config", str(tmp_path / "run.toml")], 2, "[optim]", "unknown key")
    (tmp_path / "run.toml").write_text("[optm]\nlr = 0.1\n")
    check_failure(capsys, ["train-seg", "--config", str(tmp_path / "run.toml")], 2, "'optm', did you mean optim?")


def test_run_name_is_taken(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    run_json = Path("runs/seg/mine/run.json")
    run_json.parent.mkdir(parents=True)
    run_json.write_text("{}")
    check_failure(capsys, train(tiny, "--name", "mine"), 2, "runs/seg/mine exists", "--resume")
    assert run_json.read_text() == "{}"


@pytest.mark.parametrize(
    "command", [["eval"], ["plot"], ["report"], ["export"], ["train-seg", "--resume"], ["predict", ".", "--run"]]
)
def test_folder_is_not_a_run(capsys: pytest.CaptureFixture[str], tiny: Path, command: list[str]) -> None:
    Image.new("RGB", (8, 8)).save("image.png")
    check_failure(capsys, [*command, str(tiny)], 3, "is not a run")
    check_failure(capsys, [*command, "nothing"], 3, "no run nothing")


def test_no_space_left_while_decoding(
    capsys: pytest.CaptureFixture[str], tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("vocctl.data.cache_build.json.dumps", fail)
    check_failure(capsys, train(tiny), 1, "No space left on device", "free space")


def test_no_space_left_while_training(
    capsys: pytest.CaptureFixture[str], tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    check_failure(capsys, train(tiny, "--name", "full"), 1, "No space left on device", "free space", "--resume")
    assert not list(Path("runs/seg/full/state").iterdir())


def test_weights_of_another_model(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    assert main(train(tiny, "--name", "one")) == 0
    capsys.readouterr()
    Path("runs/seg/one/config.toml").write_text(
        Path("runs/seg/one/config.toml").read_text().replace("skip = true", "skip = false")
    )
    check_failure(capsys, ["eval", "one", "--quiet"], 3, "best.safetensors does not fit")


@pytest.mark.parametrize(
    ("raised", "code", "text"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "locked/run"), 3, "locked/run cannot be used"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x"), 3, "x cannot be used (File name too long)"),
        (MemoryError(), 5, "out of memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), 5, "out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 5, "out of memory"),
    ],
    ids=["rights", "long name", "host", "torch on a CPU", "torch on a GPU"],
)
def test_errors_of_the_operating_system(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, raised: Exception, code: int, text: str
) -> None:
    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr("vocctl.tasks.list_runs.list_runs", fail)
    check_failure(capsys, ["runs"], code, text)


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), RuntimeError("a shape is wrong")])
def test_unexpected_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("vocctl.tasks.list_runs.list_runs", fail)
    with pytest.raises(type(error), match=str(error.args[-1])):
        main(["runs"])


def test_name_is_too_long_for_the_file_system(capsys: pytest.CaptureFixture[str]) -> None:
    check_failure(capsys, ["eval", "x" * 5000], 3, "xxx")


def test_plot_report_and_export_have_nothing_to_show(
    capsys: pytest.CaptureFixture[str], trained, tmp_path: Path
) -> None:
    seg = str(trained.seg)
    check_failure(capsys, ["plot", seg, "--kind", "curvs"], 2, "did you mean curves?")
    check_failure(capsys, ["plot", seg, "--kind", "errors"], 3, "errors needs a run of train-cls")
    check_failure(capsys, ["plot", seg, "--format", "jpg"], 2, "--format", "png, svg, pdf")
    check_failure(capsys, ["report", seg, "-o", "report.pdf"], 2, "takes an .html file")
    check_failure(capsys, ["report", seg, "-o", "nowhere/report.html"], 2, "in an existing folder")
    check_failure(capsys, ["export", seg, "--format", "tflite"], 2, "--format is onnx")
    check_failure(capsys, ["runs", "nowhere"], 3, "nowhere is not a folder")
    (tmp_path / "taken").write_text("")
    check_failure(capsys, ["plot", seg, "--kind", "curves", "--out", str(tmp_path / "taken")], 1, "cannot be written")
    (trained.seg / "eval").rename(trained.seg / "elsewhere")
    check_failure(capsys, ["plot", seg, "--kind", "masks"], 3, "has no predictions yet", "vocctl eval")


def test_predict_reports_unreadable_images(capsys: pytest.CaptureFixture[str], trained, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "corrupt.jpg").write_bytes(b"no image")
    Image.new("RGB", (8, 8)).save(folder / "valid.png")
    check_failure(
        capsys, ["predict", str(folder), "--run", str(trained.seg), "--quiet"], 3, "1 of 2 images", "corrupt.jpg"
    )
    assert Path("predictions/valid.png").is_file()
    check_failure(capsys, ["predict", "gone.jpg", "--run", str(trained.seg)], 3, "neither an image nor a folder")


def test_folder_without_lists_gets_lists(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    shutil.rmtree(devkit(tiny) / "ImageSets")
    check_failure(capsys, train(tiny), 3, "train.txt is missing: there are no lists", "--make-lists")
    check_failure(capsys, ["download", "--make-lists"], 2, "--make-lists requires --check FOLDER")
    check = ["download", "--check", str(tiny)]
    assert main(check) == 3
    assert "has no lists of images: expected ImageSets/Segmentation/train.txt and val.txt" in capsys.readouterr().out
    assert main([*check, "--make-lists", "--seed", "3"]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert "wrote train.txt and val.txt; train " in first
    assert last.endswith("12 images checked, 0 problems")
    check_failure(capsys, [*check, "--make-lists"], 3, "train.txt exists already")


def test_masks_of_0_and_255(capsys: pytest.CaptureFixture[str], tiny: Path) -> None:
    for path in (devkit(tiny) / "SegmentationClass").iterdir():
        write_mask(path, np.where(read_mask(path) == 0, 0, 255))
    reason = "no mask holds a class; 255 is void, classes are 1..20"
    check_failure(capsys, train(tiny), 3, reason, "SegmentationClass/tiny_000.png")
    assert not Path("runs").exists()
    assert main(["download", "--check", str(tiny)]) == 3
    assert reason in capsys.readouterr().out
