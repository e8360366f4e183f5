"""A run whose data was given as a relative path: used from another folder, and after its data was moved."""

import shutil
from pathlib import Path

import pytest

from vocctl.cli.app import main
from vocctl.config import TrainClsConfig, TrainSegConfig

SMALL = ["--size", "32", "--batch", "4", "--epochs", "1", "--quiet"]
SEG = ["--encoder", "scratch", "--decoder", "unet", "--widths", "8,8,8", *SMALL]


@pytest.fixture
def run(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A segmenter that was trained and evaluated in tmp_path/project with --data d; the working folder is another one."""
    (tmp_path / "project").mkdir()
    (tmp_path / "elsewhere").mkdir()
    tiny.rename(tmp_path / "project" / "d")
    monkeypatch.chdir(tmp_path / "project")
    assert main(["train-seg", "--data", "d", "--val", "0.5", "--name", "one", *SEG]) == 0
    assert main(["eval", "one", "--quiet"]) == 0
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "project" / "runs" / "seg" / "one"


def commands(run: Path) -> list[list[str]]:
    """Every command that reads the data of a run."""
    return [
        ["eval", str(run), "--quiet"],
        ["eval", str(run), "--attack", "noise", "--eps", "8px", "--quiet"],
        ["plot", str(run), "--kind", "masks", "--quiet"],
        ["report", str(run), "--quiet"],
        ["export", str(run), "--quiet"],
    ]


def test_a_run_is_used_from_another_folder(run: Path) -> None:
    assert [main(command) for command in commands(run)] == [0] * 5
    assert [path.name for path in (run / "eval").iterdir()] == ["d-held-out"]


def test_data_that_was_moved_is_named_with_a_flag(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.move(tmp_path / "project" / "d", tmp_path / "new" / "d")
    for command in commands(run):
        assert main(command) == 3
        assert "give its folder with --data" in capsys.readouterr().err
    data = ["--data", str(tmp_path / "new" / "d")]
    assert [main([*command, *data]) for command in commands(run)] == [0] * 5
    assert [path.name for path in (run / "eval").iterdir()] == ["d-held-out"]  # the images that were held out, again


def test_a_project_that_was_moved_finds_its_data(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    assert [main(command) for command in commands(Path("runs/seg/one"))] == [0] * 5


@pytest.mark.parametrize(
    ("command", "default", "flags"),
    [("train-seg", TrainSegConfig(), SEG), ("train-cls", TrainClsConfig(), ["--model", "scratch", *SMALL])],
)
def test_a_run_is_resumed_with_data_that_was_moved(
    command: str, default: TrainSegConfig | TrainClsConfig, flags: list[str], tiny: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vocctl.training.trainer.Trainer.fit", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main([command, "--data", "tiny", "--out", "run", *flags]) == 130
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    tiny.rename(tmp_path / "new")
    assert main([command, "--resume", "run", "--quiet"]) == 3
    assert "give its folder with --data" in capsys.readouterr().err
    assert main([command, "--resume", "run", "--data", "new", "--quiet"]) == 0
    assert main(["eval", "run", "--quiet"]) == 0  # its new place is recorded
