"""A folder of the cache is built once, complete or absent."""

import os
import time
from pathlib import Path

import pytest

from vocctl.data.cache_folder import ABANDONED_AFTER, open_or_build
from vocctl.errors import RunError


def read(folder: Path) -> str | None:
    file = folder / "content"
    return file.read_text() if file.exists() else None


def write(folder: Path) -> None:
    (folder / "content").write_text("built")


def fail(folder: Path) -> None:
    write(folder)
    raise OSError(28, "No space left on device")


def test_the_folder_is_built_unless_it_is_there(tmp_path: Path) -> None:
    assert open_or_build(tmp_path / "a" / "b", read, write, content="images", advice="free space") == "built"
    assert open_or_build(tmp_path / "a" / "b", read, fail, content="images", advice="free space") == "built"


def test_a_failure_leaves_nothing_and_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot hold the images: No space left on device; free space$"):
        open_or_build(tmp_path / "cache" / "b", read, fail, content="images", advice="free space")
    assert not (tmp_path / "cache" / "b").exists()


def test_a_folder_that_cannot_be_read_after_it_was_built_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="was damaged while it was built"):
        open_or_build(tmp_path / "b", lambda folder: None, write, content="images", advice="free space")


def test_incomplete_folders_of_killed_processes_are_removed_after_a_day(tmp_path: Path) -> None:
    now = time.time()
    for name, age in (("old.part", 2), ("new.part", 0), ("complete", 2), ("long.part", 2)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (now - age * ABANDONED_AFTER,) * 2)
    (tmp_path / "long.part" / "features.bin").touch()  # begun two days ago, and written until now
    os.utime(tmp_path / "long.part", (now - 2 * ABANDONED_AFTER,) * 2)
    (tmp_path / "renamed.part").symlink_to(
        tmp_path / "absent"
    )  # as if another process had renamed it after it was listed
    open_or_build(tmp_path / "b", read, write, content="images", advice="free space")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [
        "b", "complete", "long.part", "new.part"
    ]  # fmt: skip
