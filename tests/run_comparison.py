"""What tests of training share: they compare runs, watch them, and interrupt them."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from vocctl.training.reporter import SilentReporter, TrainProgress

TIMING_KEYS = ("images_per_second", "data_wait", "train_seconds", "val_seconds")


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without what the clock measured: equal for equal runs."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key not in TIMING_KEYS} for record in records]


def have_equal_weights(run_a: Path, run_b: Path) -> bool:
    """Whether the final weights of two runs are equal bit for bit."""
    weights_a, weights_b = load_file(run_a / "final.safetensors"), load_file(run_b / "final.safetensors")
    return weights_a.keys() == weights_b.keys() and all(
        torch.equal(weights_a[key], weights_b[key]) for key in weights_a
    )


def assert_equal_runs(run_a: Path, run_b: Path) -> None:
    """Final weights and scores of all epochs are equal bit for bit."""
    assert have_equal_weights(run_a, run_b)
    assert read_metrics(run_a) == read_metrics(run_b)


def reporter_with(**receivers: Callable[..., object]) -> SilentReporter:
    """A reporter that calls receivers["note"], ["count"], ["progress"] or ["epoch"]."""
    reporter = SilentReporter()
    vars(reporter).update(receivers)
    return reporter


def interrupt_in_epoch(batches: list[int]) -> SilentReporter:
    """A reporter that sends SIGINT to this process at the first report of progress.

    batches: receives the number of batches that were done by then.
    """

    def send_one_signal(progress: TrainProgress) -> None:
        if not batches:
            batches.append(progress.batch)
            os.kill(os.getpid(), signal.SIGINT)

    return reporter_with(progress=send_one_signal)


def interrupt_after_epoch(epoch: int) -> SilentReporter:
    """A reporter that sends SIGINT to this process when the epoch is validated."""

    def send_signal(record: dict[str, Any]) -> None:
        if record["epoch"] == epoch:
            os.kill(os.getpid(), signal.SIGINT)

    return reporter_with(epoch=send_signal)
