"""`vocctl plot`."""

from pathlib import Path
from typing import Annotated

import typer

from vocctl.cli import messages, progress
from vocctl.cli.complete import plot_kinds
from vocctl.cli.early_checks import check_data, check_runs
from vocctl.cli.options import Evaluation, MovedData, Quiet, Runs
from vocctl.errors import ConfigError
from vocctl.reporting.kinds import PLOT_KINDS
from vocctl.reporting.options import Format, PlotOptions

KIND_HELP = "; ".join(f"[bold]{kind.name}[/]: {kind.description}" for kind in PLOT_KINDS.values())


def plot(
    runs: Runs,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            help=f"What to draw; repeat, or separate by commas. {KIND_HELP}. "
            "[dim]\\[default: all that the runs have data for][/dim]",
            autocompletion=plot_kinds,
        ),
    ] = None,
    evaluation: Evaluation = None,
    data: MovedData = None,
    select: Annotated[
        str,
        typer.Option(
            "--select",
            help="Images of masks: best, worst, random, or image ids separated by commas. "
            "[dim]\\[default: half random, half worst][/dim]",
            show_default=False,
        ),
    ] = "",
    images: Annotated[
        int | None, typer.Option("--images", min=1, help="Images in a figure. [dim]\\[default: 6; errors: 8][/dim]")
    ] = None,
    file_format: Annotated[Format, typer.Option("--format", help="File format.")] = "png",
    out: Annotated[Path | None, typer.Option("--out", help="Output folder. [dim]\\[default: RUN/plots][/dim]")] = None,
    quiet: Quiet = False,
) -> None:
    """Draw figures of runs, and figures that compare several runs.

    vocctl plot first second --kind curves,compare
    """
    check_runs(runs)
    check_data(data)
    from vocctl.runs.find import open_run
    from vocctl.tasks import plot as task

    options = PlotOptions(select=select, num_images=images, format=file_format, out=out)
    kinds = [name for text in kind or () for name in text.split(",")]
    if kinds and select and "masks" not in kinds:
        raise ConfigError("--select chooses the images of masks: omit it, or draw masks with --kind masks")
    with progress.counter("drawing", "kinds", quiet=quiet) as on_kind:
        paths = task.plot(runs, kinds=kinds, evaluation=evaluation, data=data, options=options, on_kind=on_kind)
    for path in paths:
        messages.print_line(str(path))
    only_curves = all(path.stem.startswith("curves") for path in paths)
    if not kinds and only_curves and open_run(runs[0]).task != "train-adv":
        messages.print_line(
            f"Only curves were drawn, because {runs[0]} has no predictions yet: run `vocctl eval {runs[0]}`, then plot again"
        )
