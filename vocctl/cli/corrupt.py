"""`vocctl eval --corruption`: run the corruption task for each run and print its result."""

import json

from vocctl.cli import corruption_tables, messages, progress
from vocctl.config import EvalOptions
from vocctl.config.corruptions import CorruptionConfig
from vocctl.files import to_json


def evaluate_corruptions(
    runs: list[str], config: CorruptionConfig, options: EvalOptions, *, as_json: bool, quiet: bool
) -> None:
    """Score each run on corrupted images. options: what to score; as tasks/corrupt.py uses them."""
    from vocctl.tasks import corrupt as task

    for run in runs:
        with progress.counter("corrupting", "images", quiet=quiet or as_json) as on_progress:
            record = task.corrupt(run, config, options, on_progress)
        if as_json:
            messages.print_line(json.dumps(to_json({"run": run} | record.to_json())))
        else:
            corruption_tables.print_corruptions(run, record)
