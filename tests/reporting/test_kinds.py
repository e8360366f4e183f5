"""The table of plot kinds: each row names an existing function, and a row is all that a new plot kind needs."""

import pkgutil
import re
import subprocess
import sys

import pytest

from vocctl.cli.app import main
from vocctl.reporting.kinds import PLOT_KINDS

ADD_PLOT_KIND = """
import sys
from pathlib import Path
from vocctl.reporting import kinds, options

def draw_demo(runs, options):
    path = options.path(runs[0], "demo")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a figure")
    return [path]

options.draw_demo = draw_demo
kinds.PLOT_KINDS["demo"] = kinds.PlotKind("demo", "options:draw_demo", "a demonstration", ("train-seg",))
from vocctl.cli.app import main
sys.exit(main(sys.argv[1:]))
"""


def unwrap(help_text: str) -> str:
    """Return help text without its line breaks and the box around it."""
    return re.sub(r"[\s│]+", " ", help_text)


def test_the_functions_of_all_plot_kinds_exist_and_differ() -> None:
    functions = [pkgutil.resolve_name(f"vocctl.reporting.{kind.function}") for kind in PLOT_KINDS.values()]
    assert all(map(callable, functions))
    assert len(set(functions)) == len(PLOT_KINDS)


def test_help_lists_every_plot_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", "--help"]) == 0
    printed = unwrap(capsys.readouterr().out)
    assert [kind.name for kind in PLOT_KINDS.values() if f"{kind.name}: {kind.description}" not in printed] == []


def test_a_plot_kind_that_is_added_to_the_table_appears_in_help_and_errors_and_is_drawn(trained) -> None:
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", ADD_PLOT_KIND, *args], capture_output=True, text=True, check=False)

    assert "demo: a demonstration" in unwrap(run("plot", "--help").stdout)
    assert "did you mean demo?" in run("plot", str(trained.seg), "--kind", "demmo").stderr
    assert run("plot", str(trained.seg), "--kind", "demo").stdout.strip() == str(trained.seg / "plots" / "demo.png")
    unsuitable = run("plot", str(trained.cls), "--kind", "demo")
    assert unsuitable.returncode == 3
    assert "demo needs a run of train-seg" in unsuitable.stderr


@pytest.mark.parametrize("command", [["--help"], ["plot", "--help"], ["predict", "--help"], ["runs", "nowhere"]])
def test_commands_that_draw_nothing_load_no_slow_library(command: list[str]) -> None:
    code = (
        "import sys; from vocctl.cli.app import main; main(sys.argv[1:]); "
        "print('loaded:', sorted({'matplotlib', 'seaborn', 'torch', 'pandas'} & sys.modules.keys()))"
    )
    process = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    assert process.stdout.splitlines()[-1] == "loaded: []"
