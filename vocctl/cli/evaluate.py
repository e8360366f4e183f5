"""`vocctl eval`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from vocctl.cli import display
from vocctl.cli.options import Quiet


def evaluate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name under runs/.")],
    data: Annotated[Path | None, typer.Option("--data", help="Another data set than the run validated on.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="Another split than the run validated on.")] = None,
    checkpoint: Annotated[str, typer.Option("--checkpoint", help="best or final.")] = "best",
    tta: Annotated[str, typer.Option("--tta", help="none, flip, or ms (three scales, each mirrored too).")] = "none",
    device: Annotated[
        str | None, typer.Option("--device", help="auto, cpu, cuda, cuda:1, mps; else the run's own.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON, and nothing else.")] = False,
    quiet: Quiet = False,
) -> None:
    """Score a run at the photos' own size; keeps scores, confusion and label maps in RUN/eval/."""
    from vocctl.tasks import evaluate as task

    with display.counting("scoring", "photos", quiet=quiet or as_json) as on_photo:
        result = task.evaluate(
            run, data=data, split=split, checkpoint=checkpoint, tta=tta, device=device, on_photo=on_photo
        )
    if as_json:
        display.line(json.dumps(task.as_json(result)))
    else:
        display.seg_scores(result)
