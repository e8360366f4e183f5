"""A run that is killed again and again, at random moments of steps and saves, ends as the one that was left alone.

Three kills in the suite, thirty with VOCCTL_LONG=1 (`make test-long`).
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

KILLS = 30 if os.environ.get("VOCCTL_LONG") else 3
TIMES = ("images_per_second", "data_wait", "train_seconds", "val_seconds")
SMALL = "--encoder scratch --widths 16,16,16 --size 64 --batch 1 --precision fp32 --augment strong --save-every 0.0001"


def train_seg(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "vocctl", "train-seg", *words], stderr=subprocess.PIPE, text=True)


def states(run: Path) -> set[str]:
    return {path.name for path in run.glob("state/step-*")}


def metrics(run: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key not in TIMES} for record in records]


def test_killed_at_random_moments(tiny: Path, tmp_path: Path) -> None:
    settings = ["--data", str(tiny), "--epochs", str(3 * KILLS + 9), *SMALL.split()]
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    assert train_seg(*settings, "--out", str(alone)).wait(600) == 0
    generator, inside_a_save = random.Random(0), 0
    for number in range(KILLS):
        known = states(killed)
        process = train_seg("--resume", str(killed)) if known else train_seg(*settings, "--out", str(killed))
        deadline = time.monotonic() + 90
        while states(killed) == known and process.poll() is None:  # it goes on, by a step at least
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(generator.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL, f"over before kill {number}: {process.stderr.read()}"
        inside_a_save += any(name.endswith(".part") for name in states(killed))
        assert not (killed / "final.safetensors").exists()
    last = train_seg("--resume", str(killed))
    assert last.wait(600) == 0, last.stderr.read()
    one, other = load_file(alone / "final.safetensors"), load_file(killed / "final.safetensors")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert metrics(alone) == metrics(killed)
    if KILLS == 30:
        assert inside_a_save > 0
