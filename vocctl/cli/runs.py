"""`vocctl runs`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vocctl.cli import messages, tables


def runs(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="What holds the runs; runs/ if left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON line a run, and nothing else.")] = False,
) -> None:
    """List runs, newest first: task, data, what differs from the defaults, score."""
    from vocctl.tasks.list_runs import list_runs

    found = list_runs(folder)
    if as_json:
        for run in found:
            messages.print_line(json.dumps(asdict(run) | {"path": str(run.path)}))
    else:
        tables.print_runs(found)
