"""Start-up time of the command line, relative to an empty Typer app with as many options.

    python tests/benchmarks/start_up.py [ROUNDS]

`vocctl --help`, `vocctl train-seg --help` and a misspelled flag, each in a new process. The empty app has a command with
train-seg's options in the same panels, which does nothing, and one without options. All are measured alternately; medians and
their ratios are printed.
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
    """The source of an app with a command train, which has train-seg's options, and a command without options."""
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
        arguments = f"{option.opts[0]!r}, help={option.help!r}, rich_help_panel={panel!r}"
        lines.append(f"    option_{number}: Annotated[str, typer.Option({arguments})] = '',")
    # a second command, because Typer makes a single one the app itself, without a subcommand
    return "\n".join([*lines, "): pass", "@app.command()", "def other(): pass", "app()"])


def time_command(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=False)
    return time.perf_counter() - start


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.py"
        empty.write_text(empty_app())
        commands = {
            "empty app, train --help": [str(empty), "train", "--help"],
            "vocctl --help": ["-c", MAIN, "--help"],
            "vocctl train-seg --help": ["-c", MAIN, "train-seg", "--help"],
            "vocctl train-seg --epoch 3": ["-c", MAIN, "train-seg", "--epoch", "3"],
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                times[name].append(time_command([sys.executable, *command]))
    empty_app_time = median(times["empty app, train --help"])
    for name, values in times.items():
        print(f"{name:28}{1000 * median(values):6.0f} ms, {median(values) / empty_app_time:.2f} of the empty app")


if __name__ == "__main__":
    main()
