"""The paths among a run's settings: config.toml has them as they were given, run.json has the absolute ones.

A path that was given as a relative one is looked for beside the run first if the run folder is no longer where it was created,
because its project may have been moved or copied; then at its absolute path; then relative to the working folder.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from vocctl.config import TrainingConfig

Config = TypeVar("Config", bound=TrainingConfig)
PATH_SETTINGS = {  # section of a config -> its fields that hold a path
    "data": ("path", "cache_dir"),
    "model": ("weights",),
    "generator": ("weights",),
    "attack_loss": ("target",),
}
NOT_PATHS = ("", "auto", "none")


def relative_paths(config: TrainingConfig) -> dict[str, str]:
    """Each relative path of config, as it is given -> the absolute path."""
    paths: dict[str, str] = {}

    def record(path: str) -> str:
        if not os.path.isabs(path):
            paths[path] = os.path.abspath(path)
        return path

    _map_paths(config, record)
    return paths


def expand_home(config: Config) -> Config:
    """Return config with the home folder for ~ at the start of its paths: no shell expands it in a TOML file."""
    return _map_paths(config, os.path.expanduser)


@dataclass(frozen=True)
class PathRecord:
    """What run.json says about paths."""

    relative: Mapping[str, str]  # as relative_paths returned it
    created_in: str  # the run folder at its creation; "": unknown
    folder: str  # the run folder now

    def existing(self, config: Config) -> Config:
        """Return config with the paths that exist now."""
        return _map_paths(config, self.find)

    def find(self, path: str) -> str:
        """Where a path of the config, or one in a folder that such a path names, is now; path itself if it is not found."""
        for given, absolute in self.relative.items():
            if path != given and not Path(path).is_relative_to(absolute):
                continue
            inside = "" if path == given else os.path.relpath(path, absolute)
            candidates = [os.path.join(absolute, inside), os.path.join(os.path.abspath(given), inside)]
            if self.created_in not in ("", self.folder):
                candidates.insert(0, os.path.join(self.folder, os.path.relpath(absolute, self.created_in), inside))
            return next(filter(os.path.exists, map(os.path.normpath, candidates)), path)
        return path

    def absolute(self, path: str) -> str:
        """Where a path of the config was when the run was created."""
        return self.relative.get(path, os.path.abspath(path))


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
