"""`vocctl predict`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from vocctl.cli import messages, progress, tables
from vocctl.cli.complete import run_names
from vocctl.cli.early_checks import check_images, check_runs
from vocctl.cli.options import Device, Quiet
from vocctl.config import TTA, Checkpoint
from vocctl.errors import DataError


def predict(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE|FOLDER...", help="Images, and folders of images.")],
    run: Annotated[
        str,
        typer.Option(
            "--run", help="The run whose model predicts: a folder, or a name under runs/.", autocompletion=run_names
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for masks and overlays. [dim]\\[default: predictions][/dim]")
    ] = None,
    checkpoint: Annotated[
        Checkpoint, typer.Option("--checkpoint", help="best: highest validation score; final: last epoch.")
    ] = "best",
    tta: Annotated[
        TTA, typer.Option("--tta", help="Test-time augmentation. flip: mirrored; ms: three scales, each also mirrored.")
    ] = "none",
    device: Device = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document per image, and nothing else.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Predict your own images: labels with probabilities, or masks and overlays at each image's original size.

    vocctl predict holiday/ --run first --out masks
    """
    check_images(images)
    check_runs([run])
    from vocctl.tasks import predict as task

    with progress.counter("predicting", "images", quiet=quiet or as_json) as on_image:
        results = task.predict(images, run, out=out, checkpoint=checkpoint, tta=tta, device=device, on_image=on_image)
    if as_json:
        for result in results:
            messages.print_line(json.dumps(result.as_json()))
    else:
        tables.print_predictions(results)
    failed = [result for result in results if isinstance(result, task.FailedPrediction)]
    if failed:
        names = ", ".join(str(result.image) for result in failed[:5]) + (", ..." if len(failed) > 5 else "")
        others = "; the other images are predicted" if len(failed) < len(results) else ": give paths of images"
        raise DataError(f"{len(failed)} of {len(results)} images cannot be read ({names}){others}")
