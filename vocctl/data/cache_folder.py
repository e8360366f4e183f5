"""A folder of the cache: built once, by the first process that needs it, and complete or absent."""

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from vocctl.errors import RunError
from vocctl.files import local_atomic_folder

ABANDONED_AFTER = 86400.0  # seconds since anything in an incomplete folder changed: no process is writing it any more

Content = TypeVar("Content")


def open_or_build(
    folder: Path,
    read: Callable[[Path], Content | None],
    build: Callable[[Path], None],
    *,
    content: str,
    advice: str,
) -> Content:
    """What read returns for the folder, which is built first if read returns None for it.

    build: writes into the empty folder that it receives. content, advice: for the errors: what the folder holds, and what
    to do if its disk cannot.
    Raises RunError: the folder cannot be written, or not be read after it was built.
    """
    if (found := read(folder)) is not None:
        return found
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(folder.name + ".lock")):  # the system frees the lock of a process that is killed
            if (found := read(folder)) is not None:  # another process has just built it
                return found
            _remove_abandoned(folder.parent)
            with local_atomic_folder(folder) as part:
                build(part)
    except OSError as error:
        reason = error.strerror or error
        raise RunError(f"{folder.parent} cannot hold the {content}: {reason}; {advice}") from error
    if (built := read(folder)) is None:
        raise RunError(f"{folder} was damaged while it was built: remove it and run the command again")
    return built


def _remove_abandoned(cache_dir: Path) -> None:
    """Remove the incomplete folders of processes that were killed. Another process may rename its own meanwhile."""
    for part in cache_dir.glob("*.part"):
        with suppress(FileNotFoundError):
            changed = max(path.stat().st_mtime for path in (part, *part.iterdir()))
            if time.time() - changed > ABANDONED_AFTER:
                shutil.rmtree(part, ignore_errors=True)
