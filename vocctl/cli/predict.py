"""`vocctl predict`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from vocctl.cli import messages, progress, tables
from vocctl.cli.options import Quiet
from vocctl.errors import DataError


def predict(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE|FOLDER...", help="Images, and folders of images.")],
    run: Annotated[str, typer.Option("--run", help="The run that predicts: a folder, or a name under runs/.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Where masks and overlays go; predictions/ if left out.")
    ] = None,
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="best or final.")] = "best",
    tta: Annotated[str, typer.Option("--tta", help="none, flip, or ms (three scales, each mirrored too).")] = "none",
    device: Annotated[
        str | None, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps; else the run's own.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON line a image, and nothing else.")] = False,
    quiet: Quiet = False,
) -> None:
    """Predict images of your own: labels with probabilities, or masks with overlays, at each image's own size.

    vocctl predict holiday/ --run first --out masks
    """
    from vocctl.tasks import predict as task

    with progress.counter("predicting", "images", quiet=quiet or as_json) as on_image:
        results = task.predict(images, run, out=out, checkpoint=checkpoint, tta=tta, device=device, on_image=on_image)
    if as_json:
        for result in results:
            messages.print_line(json.dumps(task.as_json(result)))
    else:
        tables.print_predictions(results)
    failed = [result for result in results if result.error]
    if failed:
        names = ", ".join(str(result.image) for result in failed[:5]) + (", ..." if len(failed) > 5 else "")
        raise DataError(f"{len(failed)} of {len(results)} images could not be read ({names}): the others are done")
