"""Layers of settings: the defaults, a TOML file over them, flags over that.

Section names are TOML tables; a field name occurs once in a whole config, so a flag finds its section by its own name.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import tomli

from vocctl.config.checks import closest
from vocctl.errors import ConfigError, DataError
from vocctl.files import read_text

Config = TypeVar("Config")
MOST = 2**63 - 1  # of a whole number in TOML


def _typed(name: str, value: Any, kind: Any) -> Any:
    """value as the field's type; an int passes for a float, a list for a tuple, nothing else is bent."""
    if isinstance(value, int) and abs(value) > MOST:
        raise ConfigError(f"{name} is a number of more than 64 bits: no TOML file holds one")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind in (bool, int, float, str):
        if type(value) is not kind:
            raise ConfigError(f"{name} is a {kind.__name__}, got {value!r}")
        return value
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{name} is a list, got {value!r}")
    return tuple(_typed(name, item, kind.__args__[0]) for item in value)


def from_tables(default: Config, tables: Mapping[str, Any], where: str) -> Config:
    """default with the values of nested tables over it. Unknown keys raise ConfigError with the closest name."""
    hints = get_type_hints(type(default))
    changed: dict[str, Any] = {}
    for key, value in tables.items():
        if key not in hints:
            raise ConfigError(f"{where}: unknown key {key!r}{closest(key, hints)}")
        current = getattr(default, key)
        if is_dataclass(current):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where}: [{key}] is a table, got {value!r}")
            changed[key] = from_tables(current, value, f"{where} [{key}]")
        else:
            changed[key] = _typed(f"{where}: {key}", value, hints[key])
    try:
        return replace(default, **changed)  # type: ignore[type-var]
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def read_toml(default: Config, path: Path) -> Config:
    """default with the file's values over it. Raises DataError (no file) and ConfigError (syntax, keys, values)."""
    if not path.is_file():
        raise DataError(f"{path} is missing: name a TOML file, as examples/ holds")
    try:
        tables = tomli.loads(read_text(path))
    except (ValueError, RecursionError, OSError) as error:  # no TOML, no UTF-8, or a number of thousands of digits
        raise ConfigError(f"{path} is not TOML: {' '.join(str(error).split())}") from error
    return from_tables(default, tables, str(path))


def given(config: Config, **flags: Any) -> Config:
    """config with each flag that is not None put into the section that has a field of that name."""
    known = {f.name for section in fields(config) for f in fields(getattr(config, section.name))}  # type: ignore[arg-type]
    if strange := flags.keys() - known:
        raise TypeError(f"no section of {type(config).__name__} has a field {', '.join(sorted(strange))}")
    changed: dict[str, Any] = {}
    for section in fields(config):  # type: ignore[arg-type]
        current = getattr(config, section.name)
        mine = {f.name: flags[f.name] for f in fields(current) if flags.get(f.name) is not None}
        if mine:
            changed[section.name] = replace(current, **mine)
    return replace(config, **changed)  # type: ignore[type-var]


def as_tables(config: Any) -> dict[str, Any]:
    """The config as nested tables of plain values, for TOML and for comparison."""
    return {key: _plain(value) for key, value in asdict(config).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
