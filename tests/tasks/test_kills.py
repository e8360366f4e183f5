"""A run that is killed again and again, at random moments of steps and saves, equals an uninterrupted run.

Two kills in the suite, thirty with VOCCTL_LONG=1 (`make test-long`).
"""

import os
import random
import signal
import time
from pathlib import Path

from processes import StartedProcess, run_vocctl, start
from run_comparison import assert_equal_runs

NUM_KILLS = 30 if os.environ.get("VOCCTL_LONG") else 2
SMALL = "--encoder scratch --widths 16,16,16 --size 64 --batch 1 --precision fp32 --augment strong --save-every 0.0001"


def checkpoint_names(run: Path) -> set[str]:
    return {path.name for path in run.glob("state/step-*")}


def test_run_killed_at_random_moments_equals_uninterrupted_run(tiny: Path, tmp_path: Path) -> None:
    settings = ["--data", str(tiny), "--epochs", str(2 * NUM_KILLS + 4), *SMALL.split()]
    uninterrupted, killed = tmp_path / "uninterrupted", tmp_path / "killed"

    def train_seg(*args: str) -> StartedProcess:
        return start(run_vocctl, "train-seg", *args, folder=tmp_path / "output")

    reference = train_seg(*settings, "--out", str(uninterrupted))
    assert reference.wait(600) == 0, reference.stderr
    generator, kills_during_saves = random.Random(0), 0
    for kill in range(NUM_KILLS):
        before = checkpoint_names(killed)
        process = train_seg("--resume", str(killed)) if before else train_seg(*settings, "--out", str(killed))
        deadline = time.monotonic() + 90
        while checkpoint_names(killed) == before and process.is_running():  # it takes at least one step
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(generator.uniform(0, 0.3))
        process.send(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL, f"finished before kill {kill}: {process.stderr}"
        kills_during_saves += any(name.endswith(".part") for name in checkpoint_names(killed))
        assert not (killed / "final.safetensors").exists()
    last = train_seg("--resume", str(killed))
    assert last.wait(600) == 0, last.stderr
    assert_equal_runs(uninterrupted, killed)
    if NUM_KILLS == 30:
        assert kills_during_saves > 0
