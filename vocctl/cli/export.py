"""`vocctl export`."""

from pathlib import Path
from typing import Annotated

import typer

from vocctl.cli import progress, tables
from vocctl.cli.early_checks import check_data, check_runs
from vocctl.cli.options import MovedData, Quiet, Run
from vocctl.config import Checkpoint


def export(
    run: Run,
    file_format: Annotated[str, typer.Option("--format", help="onnx.")] = "onnx",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Output file. [dim]\\[default: RUN/CHECKPOINT.onnx][/dim]")
    ] = None,
    checkpoint: Annotated[
        Checkpoint, typer.Option("--checkpoint", help="best: highest validation score; final: last epoch.")
    ] = "best",
    images: Annotated[
        int, typer.Option("--images", min=1, help="Number of validation images on which both models are compared.")
    ] = 16,
    data: MovedData = None,
    quiet: Quiet = False,
) -> None:
    """Export a run's model to ONNX, and compare its outputs with the run's on validation images.

    vocctl export first --format onnx
    """
    check_runs([run])
    check_data(data)
    from vocctl.tasks import export as task

    with progress.counter("comparing", "images", quiet=quiet) as on_image:
        result = task.export(
            run, form=file_format, out=out, data=data, checkpoint=checkpoint, num_images=images, on_image=on_image
        )
    tables.print_export(result)
