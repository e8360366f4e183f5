"""The user's home and cache folders, also for users who have none, as in containers that run under an unknown user id."""

import logging
import os
import tempfile
from functools import cache
from pathlib import Path

from vocctl.errors import RunError

logger = logging.getLogger(__name__)


def home_folder() -> Path | None:
    """The user's home folder. None: it cannot be determined."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def user_cache_dir() -> Path | None:
    """XDG_CACHE_HOME, or else ~/.cache. None: there is no home folder, or it cannot be written."""
    home = home_folder()
    parent = os.environ.get("XDG_CACHE_HOME") or (home / ".cache" if home is not None else None)
    if parent is None:
        return None
    try:
        Path(parent).mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return Path(parent) if os.access(parent, os.W_OK) else None


@cache
def temporary_cache_dir() -> Path:
    """A cache folder for a user without one, which nobody else can write. Logs a warning once.

    Raises RunError: there is no folder of temporary files either.
    """
    user = os.getuid() if hasattr(os, "getuid") else "user"
    try:
        folder = Path(tempfile.gettempdir()) / f"vocctl-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if hasattr(os, "getuid") and folder.lstat().st_uid != os.getuid():
            folder = Path(tempfile.mkdtemp(prefix="vocctl-"))
    except OSError as error:
        raise RunError(f"no folder for the cache can be written ({error}): set VOCCTL_CACHE or --cache-dir") from error
    logger.warning("no home folder can be written: the cache is in %s; VOCCTL_CACHE names another folder", folder)
    return folder
