"""Which settings differ between runs, as text. Runs that differ only in the seed are one group."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vocctl.config import as_tables
from vocctl.runs.records import RunRecord

# Settings that do not change the trained weights, and the seed, which varies inside a group.
IGNORED = ("seed", "workers", "cache_dir", "device", "save_every", "eval_every", "monitor", "thresholds")


@dataclass(frozen=True)
class ConfigGroup:
    """Runs of one config with different seeds."""

    label: str  # the settings that differ between the groups; empty if there is one group
    runs: tuple[RunRecord, ...]


def format_settings(settings: dict[str, Any], names: Iterable[str]) -> str:
    """The named settings as text: "loss dice, no skip, minutes 3"."""
    return ", ".join(_format_setting(name, settings[name]) for name in names)


def _format_setting(name: str, value: Any) -> str:
    label = "data" if name == "path" else name.replace("_", " ")
    if isinstance(value, bool):
        return label if value else f"no {label}"
    if name == "target":
        value = [Path(run).name for run in value]
    if isinstance(value, list):
        return f"{label} {'/'.join(map(_format_value, value)) or 'none'}"
    if name == "path":  # the data set's name, wherever it is stored
        return f"{label} {Path(value).resolve().name}"
    return f"{label} {_format_value(value)}"


def _format_value(value: Any) -> str:
    """A float without trailing zeros."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def differing_settings(settings: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the settings whose text is not the same in all; IGNORED are not compared. settings: all of one task."""
    names = [name for name in settings[0] if name not in IGNORED]
    return [name for name in names if len({_format_setting(name, values[name]) for values in settings}) > 1]


def group_by_config(runs: Sequence[RunRecord]) -> list[ConfigGroup]:
    """Group runs of one task by the settings that differ between them; groups in the order of their first run."""
    names = differing_settings([run.settings for run in runs])
    groups: dict[str, list[RunRecord]] = {}
    for run in runs:
        groups.setdefault(format_settings(run.settings, names), []).append(run)
    return [ConfigGroup(label, tuple(members)) for label, members in groups.items()]


def diff_from_default(run: RunRecord) -> str:
    """The settings that differ from the task's defaults, as text; data set and seed are not compared."""
    default = {name: value for table in as_tables(run.kind.defaults).values() for name, value in table.items()}
    names = [name for name in differing_settings([default, run.settings]) if name != "path"]
    return format_settings(run.settings, names)
