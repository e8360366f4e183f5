"""Read untrusted text and JSON within bounds; write files and folders that are complete or absent.

A file or folder is written as `<name>.part` and renamed when it is complete, so that a killed process never leaves half of
one under its name. In a distributed run the main process writes.
"""

import csv
import errno
import filecmp
import io
import json
import math
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vocctl.distributed import barrier, is_main_process
from vocctl.errors import DataError, RunError

MAX_BYTES = 1 << 30  # a larger file is not read whole; every file of vocctl and VOC is far smaller


def read_text(path: Path) -> str:
    """Read a UTF-8 file, without the byte-order mark that some editors write. Every text of a user is read by this function.

    Raises OSError (also for a pipe or a device) and UnicodeDecodeError (a ValueError): not UTF-8; UTF-16 is not.
    """
    check_regular_file(path)
    text = path.read_text(encoding="utf-8-sig")
    if "\0" in text[:2]:  # UTF-16 without a byte-order mark, which decodes as UTF-8
        raise UnicodeDecodeError("utf-8", text[:2].encode(), 0, 2, "it looks like UTF-16")
    return text


def read_csv(path: Path, *, max_field: int = 1 << 17) -> list[tuple[int, list[str]]]:
    """(number of its last line, cells) of each row, without empty lines. max_field: characters that a cell may have.

    Raises OSError and UnicodeDecodeError as read_text, and csv.Error, which names the line.
    """
    text = read_text(path)
    limit = csv.field_size_limit(max_field)
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        return [(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        raise csv.Error(f"line {reader.line_num}: not a csv ({error})") from error
    finally:
        csv.field_size_limit(limit)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises OSError, and ValueError: not UTF-8, not JSON, not an object."""
    return parse_json(read_text(path))


def parse_json(text: str) -> dict[str, Any]:
    """Parse a JSON object. Raises ValueError: not JSON, not an object, or nested deeper than Python's recursion limit."""
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, got {type(value).__name__}")
    return value


def check_regular_file(path: Path) -> None:
    """Raise OSError for a path whose read might never end: a pipe, a socket, a device, or a file over MAX_BYTES."""
    try:
        status = path.stat()
    except OSError:
        return  # reading it raises the reason
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    if status.st_size > MAX_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {MAX_BYTES >> 20} MB", str(path))


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number. NaN is; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@contextmanager
def atomic_file(path: Path, fix: str = "free space, or choose another folder or name") -> Iterator[Path]:
    """Yield `<path>.part` to write to; rename it to path when the block succeeds, remove it when the block fails.

    Raises RunError: no space, read-only, folder missing, or a name that is not UTF-8. fix: what the message advises.
    """
    part = _part_of(path)
    try:
        yield part
        part.replace(path)
    except (OSError, UnicodeEncodeError) as error:  # the latter for a name that is not UTF-8
        raise RunError(f"{path} cannot be written: {_reason(error)}; {fix}") from error
    finally:
        with suppress(OSError, ValueError):
            part.unlink()


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """As local_atomic_folder, in a distributed run: every process enters the block, only the main process may write there.

    On exit all processes wait for each other, so that each can read the result.
    """
    if is_main_process():
        with local_atomic_folder(path) as part:
            yield part
    else:
        yield _part_of(path)
    barrier()


@contextmanager
def local_atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder `<path>.part` to fill; it replaces path when the block succeeds, and is removed when it fails.

    Raises RunError: the folder cannot be created or replaced.
    """
    part = _part_of(path)
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    except OSError as error:
        raise RunError(f"{part} cannot be created: {_reason(error)}; free space or fix the permissions") from error
    try:
        yield part
        _replace_folder(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def staging_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; when the block succeeds it becomes path, or its entries move into the folder path.

    Nothing in path is overwritten; nothing is added to path when the block fails. Raises DataError (path already has an
    entry of that name) and RunError (the disk).
    """
    path = Path(os.path.abspath(path))
    # Inside path if it exists: path may be a mount point or a link, and its parent may be on another disk.
    part = path / ".part" if path.is_dir() else _part_of(path)
    with disk_errors(path):
        shutil.rmtree(part, ignore_errors=True)  # left by a process that was killed
        part.mkdir(parents=True)
        try:
            yield part
            _move_entries(part, path)
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Yield an empty folder on the disk of parent, `.part` in it; remove it afterwards. Raises RunError: the disk."""
    part = parent / ".part"
    with disk_errors(parent):
        shutil.rmtree(part, ignore_errors=True)  # left by a process that was killed
        part.mkdir(parents=True)
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)


def merge_folder(source: Path, target: Path) -> None:
    """Move the files of source to the same relative paths below target, those of ImageSets last: a list never comes before
    its images. A file that target has already stays if its content is equal, so that an interrupted merge can be repeated.

    Raises DataError, before anything is moved: target has a file with other content; and OSError (the disk).
    """
    files = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
    new_files = []
    for name in sorted(files, key=lambda name: ("ImageSets" in name.parts, name)):
        if not (target / name).exists():
            new_files.append(name)
        elif not filecmp.cmp(source / name, target / name, shallow=False):
            raise DataError(f"{target / name} already exists with other content: delete it or choose another folder")
    for name in new_files:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).replace(target / name)


def _move_entries(folder: Path, path: Path) -> None:
    if not path.exists():
        folder.replace(path)
        return
    entries = sorted(folder.iterdir())
    for entry in entries:
        if (path / entry.name).exists():
            raise DataError(f"{path / entry.name} already exists: delete it or choose another folder")
    for entry in entries:
        entry.replace(path / entry.name)


@contextmanager
def disk_errors(path: Path, hint: str = "") -> Iterator[None]:
    """Convert an OSError of the block into a RunError about path. hint: what to add to the advice if the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = f"free space and run the command again{hint}, or choose another folder"
            raise RunError(f"the disk of {path} is full: {advice}") from error
        raise RunError(f"{path} cannot be written ({_reason(error)}): fix that or choose another folder") from error


def _part_of(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _replace_folder(part: Path, path: Path) -> None:
    try:
        shutil.rmtree(path, ignore_errors=True)
        part.rename(path)
    except OSError as error:
        raise RunError(f"{path} cannot be replaced: {_reason(error)}; fix its permissions or move it away") from error


def create_folder(path: Path) -> None:
    """Create a folder and its parents, unless it exists. Raises RunError: no space, or read-only."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be created: {_reason(error)}; free space or fix the permissions") from error


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically, in the main process. Raises RunError as atomic_file does."""
    if is_main_process():
        with atomic_file(path) as part:
            part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any, *, indent: int = 2) -> None:
    """Write a value that to_json can convert, atomically, in the main process. Raises RunError as atomic_file does."""
    write_text(path, json.dumps(to_json(value), indent=indent) + "\n")


def write_csv(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """Write rows as comma-separated lines, atomically, in the main process. Raises RunError as atomic_file does."""
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(rows)
    write_text(path, table.getvalue())


def to_json(value: Any) -> Any:
    """Convert to what JSON holds: tuples become lists, paths become strings, NaN and infinity become null."""
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return os.fspath(value) if isinstance(value, Path) else value


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
