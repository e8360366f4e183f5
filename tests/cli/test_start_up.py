"""Help, and the commands that only read files, start without slow libraries."""

import subprocess
import sys

import pytest

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
