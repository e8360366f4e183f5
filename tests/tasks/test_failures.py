"""Faults that happen to a machine, provoked for real: one line, its exit code, and the last good state goes on.

A small tmpfs is filled and made read-only (root alone may mount one: skipped elsewhere); memory is bounded by the kernel, a
worker killed by a signal, a folder taken away and a image spoilt while the run goes on.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vocctl.cli.app import main
from vocctl.tasks import train_seg

MODEL = ["--encoder", "scratch", "--widths", "16,16,16", "--precision", "fp32", "--quiet"]
SMALL = [*MODEL, "--size", "32", "--size-from", "0", "--batch", "4", "--epochs", "6"]
SIZE = 160 * 2**20


def mount(folder: Path, options: str) -> int:
    return subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, check=False
    ).returncode


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 160 MB; a state of the model below takes 40, weights 10."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None or mount(folder, f"size={SIZE}") != 0:
        pytest.skip("mounting a small tmpfs is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fails(capsys: pytest.CaptureFixture[str], words: list[str], code: int, *says: str) -> None:
    capsys.readouterr()
    assert main(words) == code
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    for text in says:
        assert text in line


def train(data: Path, out: Path, *flags: str) -> list[str]:
    return ["train-seg", "--data", str(data), "--out", str(out), *SMALL, *flags]


def same_end(one: Path, other: Path) -> bool:
    first, second = load_file(one / "final.safetensors"), load_file(other / "final.safetensors")
    return all(torch.equal(first[name], second[name]) for name in first | second)


def test_a_full_disk_ends_the_run_and_room_lets_it_go_on(tiny: Path, tmp_path: Path, disk: Path, capsys) -> None:
    assert main(train(tiny, tmp_path / "alone")) == 0
    state = next((tmp_path / "alone" / "state").iterdir()).stat().st_size
    (disk / "others").write_bytes(bytes(SIZE - int(2.7 * state)))  # room for two states and weights, and no third
    fails(capsys, train(tiny, disk / "run"), 1, "No space left on device", f"--resume {disk / 'run'}")
    assert not list(disk.rglob("*.part"))
    assert list((disk / "run" / "state").iterdir())
    (disk / "others").unlink()
    assert main(["train-seg", "--resume", str(disk / "run"), "--quiet"]) == 0
    assert same_end(tmp_path / "alone", disk / "run")


def test_a_full_disk_under_the_cache_leaves_nothing_of_it(tiny: Path, tmp_path: Path, disk: Path, capsys) -> None:
    (disk / "others").write_bytes(bytes(SIZE - 20_000))
    fails(capsys, train(tiny, tmp_path / "run", "--cache-dir", str(disk / "cache")), 1, "No space left", "--cache-dir")
    assert not any(path.is_file() and path.suffix != ".lock" for path in (disk / "cache").rglob("*"))


def test_a_disk_that_turns_read_only(tiny: Path, disk: Path, capsys) -> None:
    assert main(train(tiny, disk / "run", "--epochs", "1")) == 0
    assert subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=False).returncode == 0
    for words in (train(tiny, disk / "other"), ["eval", str(disk / "run")], ["plot", str(disk / "run")]):
        fails(capsys, words, 1, "Read-only file system")


def at_an_epochs_end(monkeypatch: pytest.MonkeyPatch, happens, epoch: int = 2) -> None:
    """Let it happen when so many epochs are validated."""
    validate, count = train_seg.SegmentationTask.validate, iter(range(1, 100))

    def validated(*words):
        if next(count) == epoch:
            happens()
        return validate(*words)

    monkeypatch.setattr(train_seg.SegmentationTask, "validate", validated)


def test_the_runs_folder_is_taken_away(tiny: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    run = tmp_path / "run"
    at_an_epochs_end(monkeypatch, lambda: run.rename(tmp_path / "elsewhere"))
    fails(capsys, train(tiny, run), 1, str(run))
    monkeypatch.undo()
    monkeypatch.setenv("VOCCTL_CACHE", str(tmp_path / "cache"))
    assert main(["train-seg", "--resume", str(tmp_path / "elsewhere"), "--quiet"]) == 0


def test_a_mask_that_turns_bad_while_the_run_goes_on(tiny: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    mask = tiny / "VOCdevkit" / "VOC2009" / "SegmentationClass" / "tiny_009.png"
    whole = mask.read_bytes()
    at_an_epochs_end(monkeypatch, lambda: mask.write_bytes(whole[:40]))
    assert main(train(tiny, tmp_path / "run")) == 0  # all that it needs is in the cache
    fails(capsys, ["eval", str(tmp_path / "run")], 3, "tiny_009.png")
    mask.write_bytes(whole)
    assert main(train(tiny, tmp_path / "alone")) == 0
    assert same_end(tmp_path / "alone", tmp_path / "run")


def test_a_worker_that_the_system_kills(tiny: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    def killed(self, place, getitem=train_seg.TrainDataset.__getitem__):
        if place[0] == 1:  # in the second epoch, by its own hand
            os.kill(os.getpid(), signal.SIGKILL)
        return getitem(self, place)

    monkeypatch.setattr(train_seg.TrainDataset, "__getitem__", killed)
    fails(capsys, train(tiny, tmp_path / "run", "--workers", "1"), 1, "data-loading process", "--workers 0", "--resume")
    monkeypatch.undo()
    monkeypatch.setenv("VOCCTL_CACHE", str(tmp_path / "cache"))
    assert main(["train-seg", "--resume", str(tmp_path / "run"), "--quiet"]) == 0


def test_memory_that_runs_out(tiny: Path, tmp_path: Path, capsys) -> None:
    """The address space is bounded to what is in use and 1.5 GB; the batch needs far more."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 3 * 2**29, hard))
    try:
        fails(
            capsys, train(tiny, tmp_path / "run", "--size", "2048", "--batch", "8"), 5, "batches of 8 at 2048 px", "--batch"
        )  # fmt: skip
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_two_processes_that_build_one_cache(tiny: Path, tmp_path: Path) -> None:
    words = ["-m", "vocctl", *train(tiny, tmp_path / "run", "--epochs", "1", "--cache-dir", str(tmp_path / "shared"))]
    both = []
    for number in (0, 1):
        mine = [word.replace(str(tmp_path / "run"), str(tmp_path / f"run{number}")) for word in words]
        both.append(subprocess.Popen([sys.executable, *mine], stderr=subprocess.PIPE, text=True))
    for process in both:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    caches = [path for path in (tmp_path / "shared").iterdir() if path.suffix != ".lock"]
    assert len(caches) == 2  # train and val, and nothing beside them
    assert same_end(tmp_path / "run0", tmp_path / "run1")
