"""What differs between runs: their settings, in words, never their folders' names. Runs that differ by the seed alone are
one group."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vocctl.config import as_tables
from vocctl.runs.evaluations import CONFIGS, RunRecord

# what leaves the weights as they are, and the seed, which makes a group
UNSAID = ("seed", "workers", "cache_dir", "device", "save_every", "eval_every", "monitor", "thresholds")


@dataclass(frozen=True)
class ConfigGroup:
    label: str
    runs: tuple[RunRecord, ...]


def format_settings(settings: dict[str, Any], names: Iterable[str]) -> str:
    """loss dice, no skip, minutes 3"""
    return ", ".join(_said(name, settings[name]) for name in names)


def _said(name: str, value: Any) -> str:
    shown = "data" if name == "path" else name.replace("_", " ")
    if isinstance(value, bool):
        return shown if value else f"no {shown}"
    if isinstance(value, list):
        return f"{shown} {'/'.join(map(_number, value)) or 'none'}"
    if name == "path":
        return f"{shown} {Path(value).resolve().name}"
    return f"{shown} {_number(value)}"


def _number(value: Any) -> str:
    """Without a float's zeros; a word as it is."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def differing_settings(settings: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the settings that are not the same in all; UNSAID left out. All are of one task."""
    names = [name for name in settings[0] if name not in UNSAID]
    return [name for name in names if len({_said(name, one[name]) for one in settings}) > 1]


def group_by_config(runs: Sequence[RunRecord]) -> list[ConfigGroup]:
    """Runs of one task by what differs between them, in the order in which they were named."""
    names = differing_settings([run.settings for run in runs])
    found: dict[str, list[RunRecord]] = {}
    for run in runs:
        found.setdefault(format_settings(run.settings, names), []).append(run)
    return [ConfigGroup(label, tuple(members)) for label, members in found.items()]


def diff_from_default(run: RunRecord) -> str:
    """How the run's settings differ from its task's defaults, data set and seed left out."""
    default = {name: value for table in as_tables(CONFIGS[run.task]).values() for name, value in table.items()}
    return format_settings(
        run.settings, [name for name in differing_settings([default, run.settings]) if name != "path"]
    )
