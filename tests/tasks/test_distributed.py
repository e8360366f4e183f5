"""Several processes train, evaluate and attack as one process does: equal losses, equal scores, one message.

Most processes are forked, with the variables that torchrun sets; the tests of errors start torchrun.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from loss_recording import record_losses
from processes import StartedProcess, run_vocctl, start, start_ranks
from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainSegConfig, given
from vocctl.errors import ConfigError
from vocctl.runs.folder import create_run
from vocctl.tasks import train_adv, train_cls, train_seg

needs_long = pytest.mark.skipif("VOCCTL_LONG" not in os.environ, reason="`make test-long` runs it")

QUICK = [("seg", "ce+dice"), ("cls", "bce"), ("adv", "cosine")]
LONG = [("probe", "bce"), ("seg", "focal"), ("cls", "asl"), ("adv", "ce")]


def start_processes(num_processes: int, *args: object) -> list[StartedProcess]:
    """start, or start_ranks if there are several. args: function, arguments, folder of the output."""
    *call, folder = args
    if num_processes == 1:
        return [start(*call, folder=folder, threads=1)]
    return start_ranks(*call, num_processes=num_processes, folder=folder)


def check_success(processes: list[StartedProcess]) -> str:
    """All processes end with 0. Returns what the first printed; the others print nothing."""
    for process in processes:
        assert process.wait(180) == 0, process.stderr
    assert not any(process.stdout for process in processes[1:])
    return processes[0].stdout


@pytest.mark.parametrize(("kind", "loss"), [*QUICK, *(LONG if os.environ.get("VOCCTL_LONG") else [])])
def test_losses_of_two_processes_equal_those_of_one(
    tiny_set: Path, attackable_runs: dict[str, Path], tmp_path: Path, kind: str, loss: str
) -> None:
    groups = {}
    for num_processes in (1, 2):
        args = [
            kind,
            str(tiny_set),
            str(tmp_path / f"run{num_processes}"),
            loss,
            str(attackable_runs["seg"]),
            str(attackable_runs["cls"]),
        ]
        groups[num_processes] = start_processes(num_processes, record_losses, *args, tmp_path / f"out{num_processes}")
    losses = {}
    for num_processes, processes in groups.items():
        check_success(processes)
        losses[num_processes] = json.loads((tmp_path / f"run{num_processes}" / "losses.json").read_text())
    assert len(losses[1]) >= 20
    assert losses[2][:20] == pytest.approx(losses[1][:20], abs=1e-3)
    assert sum(losses[1][:5]) > sum(losses[1][15:20])


@pytest.mark.parametrize("kind", [pytest.param("seg", marks=needs_long), "cls"])
def test_two_processes_evaluate_every_image_once(attackable_runs: dict[str, Path], tmp_path: Path, kind: str) -> None:
    """One process evaluates after the two, because each evaluation replaces the folder of the one before."""
    scores = {}
    for num_processes in (2, 1):
        args = ["eval", str(attackable_runs[kind]), "--json", tmp_path / f"out{num_processes}"]
        scores[num_processes] = json.loads(check_success(start_processes(num_processes, run_vocctl, *args)))
    assert scores[2] == scores[1]


@pytest.mark.parametrize("kind", [pytest.param("seg", marks=needs_long), "cls"])
def test_two_processes_attack_every_image_as_one_does(
    attackable_runs: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    results, images = {}, {}
    for num_processes in (1, 2):
        saved = tmp_path / f"saved{num_processes}"
        args = [
            "eval",
            str(attackable_runs[kind]),
            "--attack",
            "pgd-3x2,noise",
            "--eps",
            "16/255,4/255",
            "--json",
            "--save-adv",
            str(saved),
        ]
        output = tmp_path / f"out{num_processes}"
        results[num_processes] = json.loads(check_success(start_processes(num_processes, run_vocctl, *args, output)))
        images[num_processes] = {path.relative_to(saved): path.read_bytes() for path in saved.rglob("*.png")}
    assert results[2] == results[1]
    assert images[2] == images[1]
    assert images[1]


@needs_long
def test_dpt_decoder_trains_on_two_processes(tiny_set: Path, tmp_path: Path) -> None:
    """A part of the ViT gets no gradient; processes that wait for all gradients would fail."""
    args = "train-seg --encoder vit_tiny_patch16_224 --decoder dpt --weights none --size 32 --size-from 0 --batch 4 --epochs 1"
    paths = ["--data", str(tiny_set), "--out", str(tmp_path / "run"), "--quiet"]
    processes = start_ranks(run_vocctl, *args.split(), *paths, num_processes=2, folder=tmp_path / "output")
    for process in processes:
        assert process.wait(180) == 0, process.stderr
    assert (tmp_path / "run" / "final.safetensors").exists()


@pytest.mark.parametrize(
    ("task", "default"),
    [(train_seg, TrainSegConfig()), (train_cls, TrainClsConfig()), (train_adv, TrainAdvConfig())],
)
def test_run_is_resumed_only_by_processes_that_can_split_its_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: ModuleType, default: object
) -> None:
    create_run(tmp_path / "run", task.COMMAND, given(default, batch=4))
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ConfigError, match="--batch 4 is split over 3 processes: use a multiple of 3"):
        task.resume(str(tmp_path / "run"))


def run_torchrun(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Two processes with one thread each."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *args]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "VOCCTL_CACHE": str(cwd / "cache")}
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=180, check=False)


def error_lines(process: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in process.stderr.splitlines() if line.startswith("error:")]


def test_error_of_one_process_ends_all_with_one_message(tiny_set: Path, tmp_path: Path) -> None:
    script = tmp_path / "fails.py"
    script.write_text(
        "import os, sys\n"
        "from pathlib import Path\n"
        "from vocctl.cli.app import main\n"
        "from vocctl.errors import RunError\n"
        "from vocctl.tasks import train_seg\n"
        "if os.environ['RANK'] == '1':\n"
        "    def fail(*args):\n"
        "        Path('failed').touch()\n"
        "        raise RunError('the disk of this process is full: free space')\n"
        "    train_seg.SegmentationTask.validate = fail\n"
        "sys.exit(main(['train-seg', '--data', sys.argv[1], '--encoder', 'scratch', '--size', '32', '--size-from', '0',\n"
        "               '--batch', '4', '--epochs', '2', '--out', sys.argv[2]]))\n"
    )
    process = run_torchrun(str(script), str(tiny_set), str(tmp_path / "run"), cwd=tmp_path)
    seconds = time.time() - (tmp_path / "failed").stat().st_mtime
    assert seconds < 30, f"the other process ended only after {seconds:.0f} s"
    assert process.returncode == 1
    assert error_lines(process) == ["error: rank 1 of 2: the disk of this process is full: free space"]
    assert "Traceback" not in process.stderr.split("error:")[0]


@needs_long
def test_batch_that_two_processes_cannot_split_is_one_error(tiny_set: Path, tmp_path: Path) -> None:
    args = ["-m", "vocctl", "train-seg", "--data", str(tiny_set), "--batch", "5", "--out", str(tmp_path / "run")]
    process = run_torchrun(*args, cwd=tmp_path)
    assert process.returncode == 1
    assert error_lines(process) == ["error: --batch 5 is split over 2 processes: use a multiple of 2"]
    assert not (tmp_path / "run").exists()
