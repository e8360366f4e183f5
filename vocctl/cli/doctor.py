"""`vocctl doctor`."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from vocctl.cli import messages, tables


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print only one JSON document.")] = False,
) -> None:
    """Check Python, torch, GPU, CPU, memory, disk, weights, hub and credentials; exit code 1 if training cannot run."""
    from vocctl.tasks.doctor import can_train, run_checks

    checks = run_checks()
    if as_json:
        messages.print_line(
            json.dumps({"can_train": can_train(checks), "checks": [asdict(check) for check in checks]}, indent=1)
        )
    else:
        tables.print_checks(checks)
    if not can_train(checks):
        raise typer.Exit(1)
