"""`vocctl eval --attack`: run the attack task and print its result."""

import json
from dataclasses import asdict
from pathlib import Path

from vocctl.cli import attack_tables, messages, progress
from vocctl.cli.early_checks import check_runs
from vocctl.config import AttackConfig, EvalOptions
from vocctl.errors import ConfigError
from vocctl.files import to_json


def evaluate_attack(
    runs: list[str],
    config: AttackConfig,
    options: EvalOptions,
    save_adv: Path | None,
    *,
    transfer: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Attack the runs as one ensemble or, with transfer, each of them, and test all on its images.

    options: what to attack; as tasks/attack.py uses them.
    """
    if transfer and (len(runs) < 2 or save_adv):
        raise ConfigError("--transfer takes two runs or more and cannot be combined with --save-adv")

    generators = [name.removeprefix("adv:") for name in config.attack if name.startswith("adv:")]
    check_runs(filter(None, generators), "train-adv")
    from vocctl.tasks import attack as task

    with progress.counter("attacking", "images", quiet=quiet or as_json) as on_progress:
        if transfer:
            matrices = task.transfer(runs, config, options, on_progress=on_progress)
        else:
            result = task.attack(runs, config, options, save_adv=save_adv, on_progress=on_progress)
    if as_json:
        for value in matrices if transfer else [result]:
            messages.print_line(json.dumps(to_json(asdict(value))))
    elif transfer:
        for matrix in matrices:
            attack_tables.print_transfer_matrix(matrix)
        attack_tables.print_transfer_sanity(matrices[0])
    else:
        attack_tables.print_attack_result(result)
