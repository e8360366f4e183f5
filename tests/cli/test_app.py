"""The command line: help, `python -m vocctl`, and each command on tiny data."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vocctl import __version__
from vocctl.cli.app import COMMANDS, main
from vocctl.training.task import TrainResult


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert [name for name in COMMANDS if name not in printed] == []


def test_python_m_vocctl_prints_the_version() -> None:
    process = subprocess.run([sys.executable, "-m", "vocctl", "--version"], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == f"vocctl {__version__}"


def test_flags_override_the_config_file_and_the_file_overrides_defaults(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(
        '[model]\nencoder = "scratch"\ndecoder = "unet"\nwidths = [8, 8, 8]\n[data]\nsize = 64\n[train]\nepochs = 5\nbatch = 2\n'
    )
    flags = ["--size", "32", "--epochs", "1", "--name", "overrides", "--quiet"]
    assert main(["train-seg", "--data", str(tiny), "--config", "run.toml", *flags]) == 0
    written = Path("runs/seg/overrides/config.toml").read_text()
    assert "size = 32" in written  # the flag
    assert 'encoder = "scratch"' in written  # the file
    assert 'schedule = "cosine"' in written  # the default


def test_train_eval_plot_report_and_runs_commands(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = [
        "--encoder",
        "scratch",
        "--widths",
        "8,8,8",
        "--size",
        "32",
        "--batch",
        "4",
        "--epochs",
        "2",
        "--name",
        "one",
    ]
    assert main(["train-seg", "--data", str(tiny), *flags]) == 0
    assert "Next: run `vocctl eval" in capsys.readouterr().out
    assert main(["eval", "one", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["num_images"] == 4
    assert set(scores["absent_classes"]) >= {"train", "sofa"}  # the tiny images contain only classes 1 and 2
    assert main(["eval", "one"]) == 0
    assert "without void pixels (255)" in capsys.readouterr().out
    assert main(["plot", "one"]) == 0
    plots = capsys.readouterr().out.split()
    kinds = {"curves.png", "confusion-tiny-val.png", "classes-tiny-val.png", "masks-tiny-val.png"}
    assert {Path(path).name for path in plots} >= kinds  # other kinds may follow
    assert all(Path(path).stat().st_size > 5000 for path in plots)
    assert main(["report", "one"]) == 0
    assert capsys.readouterr().out.split() == ["report.html"]
    assert main(["runs"]) == 0
    assert "mean IoU" in capsys.readouterr().out
    assert main(["runs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scored_on"] == "tiny-val"


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("train_seg", "Next: run `vocctl eval runs/one`, then `vocctl plot runs/one`"),
        ("train_adv", "Next: run `vocctl eval VICTIM --attack adv:runs/one`, then `vocctl plot runs/one`"),
    ],
)
def test_training_prints_the_next_command(
    command: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = TrainResult(Path("runs/one"), 3, 0.5, "mean_iou", {"mean_iou": 0.5}, 60.0)
    monkeypatch.setattr(f"vocctl.tasks.{command}.run", lambda *_, **__: result)
    assert main([command.replace("_", "-"), "--epochs", "1"]) == 0
    assert text in capsys.readouterr().out


def test_predict_and_export_commands(
    trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    image = str(trained.data / "VOCdevkit" / "VOC2009" / "JPEGImages" / "tiny_013.jpg")
    assert main(["predict", image, "--run", str(trained.seg)]) == 0
    assert "32 x 32" in capsys.readouterr().out
    assert Path("predictions/tiny_013.png").is_file()
    assert Path("predictions/tiny_013-overlay.jpg").is_file()
    assert main(["predict", image, "--run", str(trained.cls), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert len(printed["probabilities"]) == 20
    assert printed["labels"]
    assert main(["export", str(trained.cls), "--out", "model.onnx", "--images", "2"]) == 0
    assert "onnxruntime was compared with the run in fp32 on 2 images" in capsys.readouterr().out
    assert Path("model.onnx").stat().st_size > 10_000
