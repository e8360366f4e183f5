"""Help, and the commands that only read files, start without slow libraries."""

import subprocess
import sys

import pytest

from vocctl.cli.app import main

SLOW_LIBRARIES = (
    "torch", "torchvision", "timm", "segmentation_models_pytorch", "albumentations", "matplotlib", "seaborn", "pandas",
    "sklearn", "onnx", "jinja2", "kaggle", "kagglesdk", "requests",
)  # fmt: skip
PRINT_LOADED_MODULES = """
import sys
from vocctl.cli.app import main
exit_code = main(sys.argv[1:])
print("loaded:", *sys.modules)
sys.exit(exit_code)
"""
HELP_OF_ALL_COMMANDS = f"""
import sys
sys.modules.update(dict.fromkeys({SLOW_LIBRARIES!r}))  # importing a module that is None in sys.modules fails
from vocctl.cli.app import COMMANDS, main
sys.exit(any([main([*command, "--help"]) for command in ([], *([name] for name in COMMANDS))]))
"""


def loaded_modules(*arguments: str) -> set[str]:
    """Return the modules that are loaded when a command has ended."""
    process = subprocess.run([sys.executable, "-c", PRINT_LOADED_MODULES, *arguments], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return set(process.stdout.rpartition("loaded:")[2].split())


def test_runs_loads_no_slow_library(trained) -> None:
    assert loaded_modules("runs", str(trained.seg.parent)) & set(SLOW_LIBRARIES) == set()


@pytest.mark.parametrize("command", [["models", "convnext*"], ["train-seg", "--print-config"]])
def test_commands_that_only_list_load_no_slow_library(command: list[str]) -> None:
    assert loaded_modules(*command) & set(SLOW_LIBRARIES) == set()


@pytest.mark.parametrize(
    "command", ["train-seg", "eval", "predict", "plot", "report", "submit", "export", "runs", "doctor"]
)
def test_help_loads_no_slow_library(command: str) -> None:
    assert loaded_modules(command, "--help") & {*SLOW_LIBRARIES, "numpy"} == set()


def test_help_of_every_command_works_without_the_slow_libraries() -> None:
    process = subprocess.run([sys.executable, "-c", HELP_OF_ALL_COMMANDS], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize(
    "line",
    [
        "predict nowhere.jpg --run RUN",
        "predict IMAGE --run nothing",
        "eval nothing",
        "eval RUN --data nowhere",
        "eval RUN --attack adv:nothing",
        "plot nothing",
        "plot RUN --data nowhere",
        "report nothing",
        "export nothing",
        "submit --data nowhere",
        "submit --file nowhere.csv",
        "submit --check nowhere.csv",
        "submit --merge nowhere.csv also.csv",
        "submit --score nowhere.csv --truth nowhere",
        "submit --cls nothing",
        "train-seg --data nowhere",
        "train-cls --weights nowhere.pth",
        "train-cls --weights .",
        "train-seg --config nowhere.toml",
        "train-seg --resume nothing",
        "train-adv --target nothing",
        "download voc2009 --archive nowhere.tar",
        "download --check nowhere",
    ],
)
def test_a_missing_path_is_reported_before_slow_imports(
    line: str, trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith(("vocctl.tasks.", "vocctl.competition."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it fails now
    image = trained.data / "VOCdevkit" / "VOC2009" / "JPEGImages" / "tiny_000.jpg"
    assert main(line.replace("RUN", str(trained.seg)).replace("IMAGE", str(image)).split()) == 3
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
