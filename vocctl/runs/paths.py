"""The paths that a run keeps: absolute, so that every working folder finds them, and as they were given.

A path that was given as a relative one is looked for beside the run first if the run folder is no longer where it was created,
because its project may have been moved or copied; then at its absolute path; then relative to the working folder.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from vocctl.config import TrainingConfig
from vocctl.errors import DataError

Config = TypeVar("Config", bound=TrainingConfig)
PATH_SETTINGS = {  # section of a config -> its fields that hold a path
    "data": ("path", "cache_dir"),
    "model": ("weights",),
    "generator": ("weights",),
    "attack_loss": ("target",),
}
NOT_PATHS = ("", "auto", "none")


def absolute_paths(config: Config) -> tuple[Config, dict[str, str]]:
    """Return config with absolute paths, and for each that was relative: the absolute path -> as it was given."""
    given: dict[str, str] = {}

    def to_absolute(path: str) -> str:
        absolute = os.path.abspath(path)
        if absolute != path:
            given[absolute] = path
        return absolute

    return _map_paths(config, to_absolute), given


@dataclass(frozen=True)
class PathRecord:
    """What run.json says about paths."""

    given: Mapping[str, str]  # as absolute_paths returned it
    created_in: str  # the run folder at its creation; "": unknown
    folder: str  # the run folder now

    def existing(self, config: Config) -> Config:
        """Return config with the paths that exist now."""
        return _map_paths(config, self.find)

    def find(self, path: str) -> str:
        """Where path is now; path itself if it is found nowhere."""
        for absolute, relative in self.given.items():
            if Path(path).is_relative_to(absolute):
                rest = Path(path).relative_to(absolute)
                candidates = [path, os.path.abspath(Path(relative) / rest)]
                if self.created_in not in ("", self.folder):
                    beside = os.path.join(self.folder, os.path.relpath(absolute, self.created_in), rest)
                    candidates.insert(0, os.path.normpath(beside))
                return next((candidate for candidate in candidates if os.path.exists(candidate)), path)
        return path


def check_data_folder(run: Path, data_path: str) -> None:
    """Raise DataError unless the folder of the run's data exists."""
    if not os.path.isdir(data_path):
        raise DataError(f"the data of {run} is no longer in {data_path}: give its folder with --data")


def _map_paths(config: Config, change: Callable[[str], str]) -> Config:
    """Return config with change applied to each of its paths."""
    for section, names in PATH_SETTINGS.items():
        if (values := getattr(config, section, None)) is not None:
            changes = {name: _changed(getattr(values, name), change) for name in names if hasattr(values, name)}
            config = replace(config, **{section: replace(values, **changes)})
    return config


def _changed(value: str | tuple[str, ...], change: Callable[[str], str]) -> str | tuple[str, ...]:
    if isinstance(value, tuple):
        return tuple(change(path) for path in value)
    return value if value in NOT_PATHS else change(value)
