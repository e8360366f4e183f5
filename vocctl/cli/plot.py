"""`vocctl plot`."""

from pathlib import Path
from typing import Annotated

import typer

from vocctl.cli import display


def plot(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under runs/.")],
    evaluation: Annotated[
        str | None, typer.Option("--eval", help="Which of RUN/eval/ to show cases of; the newest if left out.")
    ] = None,
    cases: Annotated[int, typer.Option("--cases", min=1, help="Photos in each of best and worst.")] = 4,
) -> None:
    """Draw a run: curves, and photo, truth, prediction and errors of its best and worst cases."""
    from vocctl.tasks import plot as task

    paths: list[Path] = task.plot(run, evaluation=evaluation, cases=cases)
    for path in paths:
        display.line(str(path))
    if len(paths) == 1:
        display.line(f"no cases drawn: `vocctl eval {run}` first, then plot again")
