"""`vocctl predict`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from vocctl.cli import display
from vocctl.cli.options import Quiet
from vocctl.errors import DataError


def predict(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE|FOLDER...", help="Photos, and folders of photos.")],
    run: Annotated[str, typer.Option("--run", help="The run that predicts: a folder, or a name under runs/.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Where masks and overlays go; predictions/ if left out.")
    ] = None,
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="best or final.")] = "best",
    tta: Annotated[str, typer.Option("--tta", help="none, flip, or ms (three scales, each mirrored too).")] = "none",
    device: Annotated[
        str | None, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps; else the run's own.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON line a photo, and nothing else.")] = False,
    quiet: Quiet = False,
) -> None:
    """Predict photos of your own: labels with probabilities, or masks with overlays, at each photo's own size.

    vocctl predict holiday/ --run first --out masks
    """
    from vocctl.tasks import predict as task

    with display.counting("predicting", "photos", quiet=quiet or as_json) as on_photo:
        results = task.predict(images, run, out=out, checkpoint=checkpoint, tta=tta, device=device, on_photo=on_photo)
    if as_json:
        for result in results:
            display.line(json.dumps(task.as_json(result)))
    else:
        display.predictions(results)
    failed = [result for result in results if result.error]
    if failed:
        names = ", ".join(str(result.image) for result in failed[:5]) + (", ..." if len(failed) > 5 else "")
        raise DataError(f"{len(failed)} of {len(results)} photos could not be read ({names}): the others are done")
