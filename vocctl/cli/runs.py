"""`vocctl runs`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vocctl.cli import messages, tables
from vocctl.files import to_json


def runs(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="Folder that holds the runs. [dim]\\[default: runs/][/dim]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print only one JSON line per run.")] = False,
) -> None:
    """List runs, newest first: task, data, settings that differ from the defaults, score."""
    from vocctl.tasks.list_runs import list_runs

    summaries = list_runs(folder)
    if as_json:
        for summary in summaries:
            messages.print_line(json.dumps(to_json(asdict(summary))))
    else:
        tables.print_runs(summaries)
