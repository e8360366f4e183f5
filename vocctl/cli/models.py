"""`vocctl models`."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from vocctl.cli import messages, tables
from vocctl.config.model_table import find_models, known_models, recommended_models

MOST_ROWS = 40  # of the table; --json has no limit


def models(
    pattern: Annotated[
        str | None,
        typer.Argument(
            metavar="[PATTERN]", help="Names to list, such as 'convnext*' in quotes; omitted: a few to start with."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print only one JSON line per model.")] = False,
) -> None:
    """List models for --encoder and --model: parameters, strides, input size, and where their weights come from.

    vocctl models "convnext*"
    """
    found = recommended_models() if pattern is None else find_models(pattern)
    if as_json:
        for model in found:
            messages.print_line(json.dumps(asdict(model)))
        return
    tables.print_models(found[:MOST_ROWS])
    if len(found) > MOST_ROWS:
        messages.print_line(f"{len(found) - MOST_ROWS} more match: use a narrower pattern, or --json for all")
    elif pattern is None:
        messages.print_line(f"{len(known_models()) - len(found)} more: vocctl models \"PATTERN\", such as 'resnet*'")
    elif len(found) == 1 and found[0].tags:
        messages.print_line(
            f"weights, the default first: {', '.join(f'{found[0].name}.{tag}' for tag in found[0].tags)}"
        )
