"""--print-config: every setting as TOML, which --config reads back."""

import tomllib
from pathlib import Path

import pytest

from vocctl.cli.app import main
from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainSegConfig, as_tables


@pytest.mark.parametrize(
    ("command", "default", "flags"),
    [
        (
            "train-seg",
            TrainSegConfig(),
            ["--recipe", "laptop", "--widths", "8,4", "--data", 'a "quoted"\\path', "--no-skip"],
        ),
        ("train-cls", TrainClsConfig(), ["--recipe", "t4", "--mixup", "0.2", "--device", "cpu"]),
        ("train-adv", TrainAdvConfig(), ["--target", "a", "--target", "[b]", "--eps", "4/255"]),
    ],
)
def test_printed_settings_work_as_config_file(command, default, flags, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([command, *flags, "--print-config"]) == 0
    printed = capsys.readouterr().out
    settings = tomllib.loads(printed)
    assert {table: set(values) for table, values in settings.items()} == {
        table: set(values) for table, values in as_tables(default).items()
    }
    assert settings != as_tables(default)
    Path("printed.toml").write_text(printed)
    assert main([command, "--config", "printed.toml", "--print-config"]) == 0
    assert capsys.readouterr().out == printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["printed.toml"]


def test_flags_override_the_file_in_what_is_printed(tmp_path: Path, capsys):
    (tmp_path / "run.toml").write_text("[train]\nepochs = 5\nbatch = 2\n", encoding="utf-8-sig")
    assert main(["train-seg", "--config", str(tmp_path / "run.toml"), "--batch", "3", "--print-config"]) == 0
    train = tomllib.loads(capsys.readouterr().out)["train"]
    assert (train["epochs"], train["batch"]) == (5, 3)


def test_the_home_folder_in_a_file(tmp_path: Path, monkeypatch, capsys):
    """No shell has expanded it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run.toml").write_text('[data]\npath = "~/voc"\n[model]\nweights = "~/w.pth"\n')
    assert main(["train-seg", "--config", str(tmp_path / "run.toml"), "--print-config"]) == 0
    settings = tomllib.loads(capsys.readouterr().out)
    assert (settings["data"]["path"], settings["model"]["weights"]) == (f"{tmp_path}/voc", f"{tmp_path}/w.pth")


def test_invalid_settings_are_not_printed(capsys):
    assert main(["train-seg", "--size", "33", "--print-config"]) == 2
    assert capsys.readouterr().out == ""
