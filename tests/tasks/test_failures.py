"""Failures of the machine, provoked for real: one line, its exit code, and a run that resumes from its last checkpoint.

A small tmpfs is filled and made read-only (only root may mount one: skipped elsewhere), the kernel limits the memory, a signal
kills a worker, and a folder is moved and an image damaged while a run trains.
"""

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from processes import run_vocctl, start
from run_comparison import have_equal_weights
from vocctl.cli.app import main
from vocctl.data.datasets import TrainDataset
from vocctl.tasks.train_seg import SegmentationTask

SMALL = [
    "--encoder", "scratch", "--decoder", "unet", "--widths", "16,16,16", "--precision", "fp32", "--quiet",
    "--size", "32", "--size-from", "0",
    "--batch", "4", "--epochs", "6",
]  # fmt: skip
DISK_SIZE = 160 * 2**20


def mount(folder: Path, options: str) -> int:
    """Mount a tmpfs; return the exit code of mount."""
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """An empty disk of DISK_SIZE bytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None or mount(folder, f"size={DISK_SIZE}") != 0:
        pytest.skip("mounting a small tmpfs is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def check_failure(capsys: pytest.CaptureFixture[str], args: list[str], exit_code: int, *texts: str) -> None:
    """The command ends with the exit code and one line that contains the texts."""
    capsys.readouterr()
    assert main(args) == exit_code
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    for text in texts:
        assert text in line


def train(data: Path, out: Path, *flags: str) -> list[str]:
    return ["train-seg", "--data", str(data), "--out", str(out), *SMALL, *flags]


def resume(run: Path) -> list[str]:
    return ["train-seg", "--resume", str(run), "--quiet"]


def test_run_that_filled_the_disk_resumes_when_there_is_space(tiny: Path, tmp_path: Path, disk: Path, capsys) -> None:
    assert main(train(tiny, tmp_path / "uninterrupted")) == 0
    checkpoint_size = next((tmp_path / "uninterrupted" / "state").iterdir()).stat().st_size
    # leave room for two checkpoints and weights, but not for the third checkpoint
    (disk / "other-files").write_bytes(bytes(DISK_SIZE - int(2.7 * checkpoint_size)))
    check_failure(capsys, train(tiny, disk / "run"), 1, "No space left on device", f"--resume {disk / 'run'}")
    assert not list(disk.rglob("*.part"))
    assert list((disk / "run" / "state").iterdir())
    (disk / "other-files").unlink()
    assert main(resume(disk / "run")) == 0
    assert have_equal_weights(tmp_path / "uninterrupted", disk / "run")


def test_cache_that_fills_the_disk_leaves_no_files(tiny: Path, tmp_path: Path, disk: Path, capsys) -> None:
    (disk / "other-files").write_bytes(bytes(DISK_SIZE - 20_000))
    flags = ["--cache-dir", str(disk / "cache")]
    check_failure(capsys, train(tiny, tmp_path / "run", *flags), 1, "No space left", "--cache-dir")
    files = [path for path in (disk / "cache").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".lock"}
    assert sum(path.stat().st_size for path in files) == 0


def test_read_only_disk_is_an_error(tiny: Path, disk: Path, capsys) -> None:
    assert main(train(tiny, disk / "run", "--epochs", "1")) == 0
    assert subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=False).returncode == 0
    for args in (train(tiny, disk / "second"), ["eval", str(disk / "run")], ["plot", str(disk / "run")]):
        check_failure(capsys, args, 1, "Read-only file system")


def call_before_second_validation(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    validate, calls = SegmentationTask.validate, iter(range(1, 100))

    def validate_after_action(*args):
        if next(calls) == 2:
            action()
        return validate(*args)

    monkeypatch.setattr(SegmentationTask, "validate", validate_after_action)


def test_run_folder_that_was_moved_during_training_resumes(tiny: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    run, moved = tmp_path / "run", tmp_path / "moved"
    with monkeypatch.context() as patch:
        call_before_second_validation(patch, lambda: run.rename(moved))
        check_failure(capsys, train(tiny, run), 1, str(run))
    assert main(resume(moved)) == 0


def test_mask_that_is_damaged_during_training_is_read_from_the_cache(
    tiny: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    mask = tiny / "VOCdevkit" / "VOC2009" / "SegmentationClass" / "tiny_009.png"
    content = mask.read_bytes()
    call_before_second_validation(monkeypatch, lambda: mask.write_bytes(content[:40]))
    assert main(train(tiny, tmp_path / "damaged")) == 0
    check_failure(capsys, ["eval", str(tmp_path / "damaged")], 3, "tiny_009.png")
    mask.write_bytes(content)
    assert main(train(tiny, tmp_path / "undamaged")) == 0
    assert have_equal_weights(tmp_path / "undamaged", tmp_path / "damaged")


def test_run_whose_worker_was_killed_resumes(tiny: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    get_item = TrainDataset.__getitem__

    def kill_worker_in_second_epoch(self, key):
        epoch = key[0]
        if epoch == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return get_item(self, key)

    with monkeypatch.context() as patch:
        patch.setattr(TrainDataset, "__getitem__", kill_worker_in_second_epoch)
        flags = ["--workers", "1"]
        check_failure(
            capsys, train(tiny, tmp_path / "run", *flags), 1, "data-loading process", "--workers 0", "--resume"
        )
    assert main(resume(tmp_path / "run")) == 0


def test_out_of_memory_says_which_batch_was_too_large(tiny: Path, tmp_path: Path, capsys) -> None:
    """The address space is limited to what is in use and 1.5 GB; the batch needs far more."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 3 * 2**29, hard))
    try:
        args = train(tiny, tmp_path / "run", "--size", "2048", "--batch", "8")
        check_failure(capsys, args, 5, "batches of 8 at 2048 px", "--batch")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_two_processes_build_one_cache(tiny: Path, tmp_path: Path) -> None:
    flags = ["--epochs", "1", "--cache-dir", str(tmp_path / "shared")]
    processes = [
        start(run_vocctl, *train(tiny, tmp_path / f"run{number}", *flags), folder=tmp_path / "output")
        for number in (0, 1)
    ]
    for process in processes:
        assert process.wait() == 0, process.stderr
    folders = [path for path in (tmp_path / "shared").iterdir() if path.suffix != ".lock"]
    assert len(folders) == 2  # of train and val, and no parts
    assert have_equal_weights(tmp_path / "run0", tmp_path / "run1")
