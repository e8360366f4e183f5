"""`vocctl eval --attack`: the attack's task, and its tables."""

import json
from pathlib import Path
from typing import Any

from vocctl.cli import attack_tables, messages, progress
from vocctl.config import AttackConfig
from vocctl.errors import ConfigError


def attacked(
    runs: list[str],
    config: AttackConfig,
    place: dict[str, Any],
    save: Path | None,
    *,
    transfer: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """place: data, split, checkpoint and device, as eval takes them. Several runs are attacked as one."""
    if transfer and (len(runs) < 2 or save):
        raise ConfigError("--transfer takes two runs or more, and goes without --save-adv")

    from vocctl.tasks import attack as task

    with progress.counter("attacking", "images", quiet=quiet or as_json) as on_work:
        if transfer:
            matrices = task.transfer(runs, config, **place, on_work=on_work)
        else:
            result = task.attack(runs, config, **place, save=save, on_work=on_work)
    if transfer:
        for matrix in matrices:
            if as_json:
                messages.print_line(json.dumps(task.as_json(matrix)))
            else:
                attack_tables.transfer_matrix(matrix)
        if not as_json:
            attack_tables.transfer_sanity(matrices[0])
    elif as_json:
        messages.print_line(json.dumps(task.as_json(result)))
    else:
        attack_tables.attack_result(result)
