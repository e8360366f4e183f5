"""`vocctl report`."""

from pathlib import Path
from typing import Annotated

import typer

from vocctl.cli import messages, progress
from vocctl.cli.early_checks import check_data, check_runs
from vocctl.cli.options import Evaluation, MovedData, Quiet, Runs


def report(
    runs: Runs,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Output file. [dim]\\[default: report.html, report-2.html for other runs, ...][/dim]"
        ),
    ] = None,
    evaluation: Evaluation = None,
    data: MovedData = None,
    quiet: Quiet = False,
) -> None:
    """Write one self-contained HTML page on one run or several: scores, figures, tables, and a gallery of predictions.

    vocctl report first second -o report.html
    """
    check_runs(runs)
    check_data(data)
    from vocctl.tasks import report as task

    with progress.counter("reporting", "steps", quiet=quiet) as on_step:
        path = task.report(runs, out, evaluation=evaluation, data=data, on_step=on_step)
    messages.print_line(str(path))
