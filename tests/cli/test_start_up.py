"""Commands that only read files start without the libraries that train, augment and draw."""

import subprocess
import sys

import pytest

SLOW = {
    "torch",
    "torchvision",
    "timm",
    "seaborn",
    "matplotlib",
    "sklearn",
    "albumentations",
    "segmentation_models_pytorch",
}
CODE = """
import sys
from vocctl.cli.app import main
try:
    code = main(sys.argv[1:])
except SystemExit as exit:
    code = exit.code
print("imported:", *sys.modules)
sys.exit(code)
"""


def imported(*words: str) -> set[str]:
    """The packages that a command imports."""
    done = subprocess.run([sys.executable, "-c", CODE, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("imported:")[2].split())


def test_runs_imports_no_slow_library(trained) -> None:
    assert imported("runs", str(trained.seg.parent)) & SLOW == set()


@pytest.mark.parametrize("command", ["train-seg", "eval", "predict", "plot", "report", "submit", "export", "runs"])
def test_help_imports_no_slow_library(command: str) -> None:
    assert imported(command, "--help") & SLOW == set()
