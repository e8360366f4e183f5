"""`vocctl plot`."""

from pathlib import Path
from typing import Annotated

import typer

from vocctl.cli import messages, progress
from vocctl.cli.options import Quiet, Runs


def plot(
    runs: Runs,
    what: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            help="curves, confusion, classes, masks, mistakes, adversarial, robustness, compare; all there is if left out.",
        ),
    ] = None,
    evaluation: Annotated[
        str | None, typer.Option("--eval", help="Which of RUN/eval/ to draw; the newest if left out.")
    ] = None,
    pick: Annotated[
        str,
        typer.Option(
            "--select", help="Images of masks: best, worst, random, or IDS with commas; half worst, half random."
        ),
    ] = "",
    cases: Annotated[int, typer.Option("--cases", min=1, help="Images in a picture of cases.")] = 6,
    form: Annotated[str, typer.Option("--format", help="png, svg or pdf.")] = "png",
    out: Annotated[Path | None, typer.Option("--out", help="A folder, in place of RUN/plots/.")] = None,
    quiet: Quiet = False,
) -> None:
    """Draw runs: training curves, confusion, classes, masks, mistakes, attacks; several laid over each other."""
    from vocctl.reporting.options import PlotOptions
    from vocctl.runs.folder import task_of
    from vocctl.tasks import plot as task

    wish = PlotOptions(cases=cases, pick=pick, format=form, out=out)
    with progress.counter("drawing", "kinds", quiet=quiet) as on_kind:
        paths = task.plot(runs, what=[w for word in what or () for w in word.split(",")], evaluation=evaluation, wish=wish,
                          on_kind=on_kind)  # fmt: skip
    for path in paths:
        messages.print_line(str(path))
    if not what and all(path.stem.startswith("curves") for path in paths) and task_of(runs[0]) != "train-adv":
        messages.print_line(f"no predictions drawn: `vocctl eval {runs[0]}` first, then plot again")
