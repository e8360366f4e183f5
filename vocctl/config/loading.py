"""Layers of settings: the defaults, a TOML file over them, flags over that.

Section names are TOML tables; a field name occurs once in a whole config, so a flag finds its section by its own name.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import tomli

from vocctl.config.checks import did_you_mean
from vocctl.errors import ConfigError, DataError
from vocctl.files import read_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config", bound="DataclassInstance")
MAX_TOML_INT = 2**63 - 1
SCALAR_TYPES = {bool: "a bool", int: "an int", float: "a float", str: "a str"}  # with an article, for messages


def _checked_type(name: str, value: Any, hint: Any) -> Any:
    """Return value as the field's type. Only an int for a float and a list for a tuple are converted."""
    if get_origin(hint) is Literal:
        hint = str
    if hint in SCALAR_TYPES:
        return _checked_scalar(name, value, hint, f"must be {SCALAR_TYPES[hint]}, got")
    item_type = get_args(hint)[0]
    requirement = f"must be a list of {item_type.__name__}, got"
    if not isinstance(value, list | tuple):
        _check_size(name, value)
        raise ConfigError(f"{name} {requirement} {value!r}")
    return tuple(_checked_scalar(name, item, item_type, f"{requirement} the item") for item in value)


def _checked_scalar(name: str, value: Any, scalar_type: type, requirement: str) -> Any:
    """requirement: what the error says between the name and the value."""
    _check_size(name, value)
    if scalar_type is float and type(value) is int:
        return float(value)
    if type(value) is not scalar_type:
        raise ConfigError(f"{name} {requirement} {value!r}")
    return value


def _check_size(name: str, value: Any) -> None:
    if isinstance(value, int) and abs(value) > MAX_TOML_INT:
        raise ConfigError(f"{name} does not fit into 64 bits: TOML has no such number")


def from_tables(default: Config, tables: Mapping[str, Any], where: str) -> Config:
    """Return default with the values of nested tables.

    Raises ConfigError: an unknown key, with the closest one; a value of a wrong type or out of range.
    """
    hints = get_type_hints(type(default))
    changes: dict[str, Any] = {}
    for key, value in tables.items():
        if key not in hints:
            raise ConfigError(f"{where}: unknown key {key!r}{did_you_mean(key, hints)}")
        current = getattr(default, key)
        if is_dataclass(current) and not isinstance(current, type):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where}: [{key}] must be a table, got {value!r}")
            changes[key] = from_tables(current, value, f"{where} [{key}]")
        else:
            changes[key] = _checked_type(f"{where}: {key}", value, hints[key])
    try:
        return replace(default, **changes)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def read_toml(default: Config, path: Path) -> Config:
    """Return default with a file's values.

    Raises DataError: no such file. ConfigError: the file is not TOML, or as from_tables does.
    """
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "missing"
        raise DataError(f"{path} is {kind}: name a TOML file, such as those in examples/")
    try:
        tables = tomli.loads(read_text(path))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not TOML: it is not UTF-8 text, save it as UTF-8") from error
    except (ValueError, RecursionError, OSError) as error:  # not TOML, or a number with thousands of digits
        raise ConfigError(f"{path} is not TOML: {' '.join(str(error).split())}") from error
    return from_tables(default, tables, str(path))


def given(config: Config, **flags: Any) -> Config:
    """Return config with each flag that is not None set in the section that has a field of that name."""
    sections = fields(config)
    names = {item.name for section in sections for item in fields(getattr(config, section.name))}
    if unknown := flags.keys() - names:
        raise TypeError(f"no section of {type(config).__name__} has a field {', '.join(sorted(unknown))}")
    changes: dict[str, Any] = {}
    for section in sections:
        current = getattr(config, section.name)
        values = {item.name: flags[item.name] for item in fields(current) if flags.get(item.name) is not None}
        if values:
            changes[section.name] = replace(current, **values)
    return replace(config, **changes)


def as_tables(config: "DataclassInstance") -> dict[str, Any]:
    """Return the config as nested tables of plain values, for TOML and for comparison."""
    return {key: _plain(value) for key, value in asdict(config).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
