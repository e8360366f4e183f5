"""`vocctl export`."""

from pathlib import Path
from typing import Annotated

import typer

from vocctl.cli import display
from vocctl.cli.options import Quiet


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under runs/.")],
    form: Annotated[str, typer.Option("--format", help="onnx.")] = "onnx",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file; RUN/best.onnx if left out.")] = None,
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="best or final.")] = "best",
    photos: Annotated[int, typer.Option("--photos", min=1, help="Validation photos to compare on.")] = 16,
    quiet: Quiet = False,
) -> None:
    """Write a run's model as ONNX and check it against the run on real photos.

    vocctl export first --format onnx
    """
    from vocctl.tasks import export as task

    with display.counting("comparing", "photos", quiet=quiet) as on_photo:
        result = task.export(run, form=form, out=out, checkpoint=checkpoint, photos=photos, on_photo=on_photo)
    display.exported(result)
