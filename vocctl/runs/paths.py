"""The paths that a run keeps: absolute, so that every working folder finds them, and as they were given.

A path as it was given is used, relative to the working folder, when the absolute one is gone, as in a project that was moved
together with its data.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
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


def existing_paths(config: Config, given: Mapping[str, str]) -> Config:
    """Return config with the paths that exist now. given: as absolute_paths returned it."""
    return _map_paths(config, lambda path: find_path(path, given))


def find_path(path: str, given: Mapping[str, str]) -> str:
    """path, or if it does not exist where it, or the folder that it is in, was given relative to the working folder."""
    if not os.path.exists(path):
        for absolute, relative in given.items():
            if Path(path).is_relative_to(absolute):
                moved = os.path.abspath(Path(relative) / Path(path).relative_to(absolute))
                if os.path.exists(moved):
                    return moved
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
