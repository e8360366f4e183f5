"""`vocctl export`."""

from pathlib import Path
from typing import Annotated

import typer

from vocctl.cli import progress, tables
from vocctl.cli.options import Quiet


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under runs/.")],
    form: Annotated[str, typer.Option("--format", help="onnx.")] = "onnx",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file; RUN/best.onnx if left out.")] = None,
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="best or final.")] = "best",
    images: Annotated[int, typer.Option("--images", min=1, help="Validation images to compare on.")] = 16,
    quiet: Quiet = False,
) -> None:
    """Write a run's model as ONNX and check it against the run on real images.

    vocctl export first --format onnx
    """
    from vocctl.tasks import export as task

    with progress.counter("comparing", "images", quiet=quiet) as on_image:
        result = task.export(run, form=form, out=out, checkpoint=checkpoint, num_images=images, on_image=on_image)
    tables.print_export(result)
