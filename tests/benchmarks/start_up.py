"""How long the command line takes to answer, against an empty Typer app with as many options.

    python tests/benchmarks/start_up.py [ROUNDS]

`vocctl --help`, `vocctl train-seg --help` and a misspelt flag, each in a process of its own. The empty app has a command
with train-seg's options under the same panels and does nothing. They take turns; medians and their ratios are printed.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import typer

from vocctl.cli.app import app

MAIN = "import sys; from vocctl.cli.app import main; sys.exit(main())"


def empty_app() -> str:
    """The source of an app whose one command has train-seg's options."""
    options = [option for option in typer.main.get_command(app).commands["train-seg"].params if option.name != "help"]
    lines = [
        "import typer",
        "from typing import Annotated",
        "app = typer.Typer(rich_markup_mode='rich')",
        "@app.command()",
    ]
    lines.append("def train(")
    for number, option in enumerate(options):
        panel = getattr(option, "rich_help_panel", None)
        about = f"{option.opts[0]!r}, help={option.help!r}, rich_help_panel={panel!r}"
        lines.append(f"    option_{number}: Annotated[str, typer.Option({about})] = '',")
    return "\n".join([*lines, "): pass", "@app.command()", "def other(): pass", "app()"])


def seconds(words: list[str]) -> float:
    resumed = time.perf_counter()
    subprocess.run(words, capture_output=True, check=False)
    return time.perf_counter() - resumed


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.py"
        empty.write_text(empty_app())
        ways = {
            "empty app, train --help": [str(empty), "train", "--help"],
            "vocctl --help": ["-c", MAIN, "--help"],
            "vocctl train-seg --help": ["-c", MAIN, "train-seg", "--help"],
            "vocctl train-seg --epoch 3": ["-c", MAIN, "train-seg", "--epoch", "3"],
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, words in ways.items():
                taken[name].append(seconds([sys.executable, *words]))
    first = median(taken["empty app, train --help"])
    for name, times in taken.items():
        print(f"{name:28}{1000 * median(times):6.0f} ms, {median(times) / first:.2f} of the empty app")


if __name__ == "__main__":
    main()
