"""Text and JSON that others wrote, so that whatever the file is, what comes is text or an ordinary error."""

import errno
import json
import stat
from pathlib import Path
from typing import Any

MAX_BYTES = 1 << 30  # of a file that is read whole; nothing that vocctl writes or VOC holds comes near


def read_text(path: Path) -> str:
    """The whole file, UTF-8. Raises OSError, for a pipe or a device too, and UnicodeDecodeError (a ValueError)."""
    check_regular_file(path)
    return path.read_text(encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """The table that the file holds. Raises OSError, and ValueError: no UTF-8, no JSON, no table."""
    return parse_json(read_text(path))


def parse_json(text: str) -> dict[str, Any]:
    """Raises ValueError: no JSON, no table, or nested deeper than Python goes."""
    try:
        held = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(held, dict):
        raise ValueError(f"a table is due, not {type(held).__name__}")
    return held


def check_regular_file(path: Path) -> None:
    """Raises OSError for what a read may never come back from: a pipe, a socket, a device, a file that fills the memory."""
    try:
        found = path.stat()
    except OSError:
        return  # the read will say why
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    if found.st_size > MAX_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {MAX_BYTES >> 20} MB", str(path))


def is_number(value: Any) -> bool:
    """Of JSON's values: NaN is one, true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
