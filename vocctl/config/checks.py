"""Settings as dataclass fields with a help text, and the checks that a config makes when it is created.

A setting's type, default and help stand once, at its field: the command line's flag, its help and docs/commands.md derive
from them. A message names the flag, as the user types it.
"""

import difflib
from collections.abc import Iterable
from dataclasses import Field, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from vocctl.errors import ConfigError
from vocctl.labels import CLASSES

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Norm = Literal["linf", "l2"]

T = TypeVar("T")


def setting(default: T, help_text: str, *, flag: str = "", unset: str = "") -> T:
    """A dataclass field with its help text. flag: if it is not the field's name. unset: how help shows a default of
    "off".
    """
    return field(default=default, metadata={"help": help_text, "flag": flag, "unset": unset})


def flag_of(setting_field: "Field[Any]") -> str:
    """The command-line flag of a field: --loss-stride for loss_stride, unless its metadata names another."""
    return setting_field.metadata.get("flag") or "--" + setting_field.name.replace("_", "-")


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return ', did you mean X?' if a choice is similar, else ''."""
    near = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f", did you mean {near[0]}?" if near else ""


def require(condition: bool, message: str) -> None:
    """Raise ConfigError with the message unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def check_choice(flag: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{flag} is one of {', '.join(choices)}; got {value!r}{did_you_mean(value, choices)}")


def check_choices(config: "DataclassInstance") -> None:
    """Check every field of a config whose type is a Literal. Raises ConfigError."""
    hints = get_type_hints(type(config))
    for config_field in fields(config):
        hint = hints[config_field.name]
        if get_origin(hint) is Literal:
            check_choice(flag_of(config_field), getattr(config, config_field.name), get_args(hint))


def parse_epsilon(text: str, flag: str = "--eps") -> float:
    """Parse a budget for pixels in [0, 1]: 8/255, 8px (the same) or 0.03. Raises ConfigError."""
    try:
        numerator, slash, denominator = text.strip().removesuffix("px").partition("/")
        divisor = float(denominator) if slash else 255 if text.strip().endswith("px") else 1
        value = float(numerator) / divisor
    except (ValueError, ZeroDivisionError) as error:
        raise ConfigError(f"{flag} is written as 8/255, 8px or 0.03, for pixels in [0, 1]; got {text!r}") from error
    require(0 < value < 1e6, f"{flag} is above 0, got {text!r}")
    return value


def check_budget(text: str, norm: Norm, flag: str = "--eps") -> None:
    """Raise ConfigError for a budget that cannot be parsed, or with linf one below 1/255 or above 1."""
    epsilon = parse_epsilon(text, flag)
    if norm == "linf":
        require(epsilon * 255 >= 1 - 1e-4, f"{flag} {text} is below one 8-bit level: with linf use 1/255 or more")
        require(
            epsilon <= 1, f"{flag} {text} exceeds the pixel range [0, 1]: levels of 1/255 are written as 8px or 8/255"
        )


def check_goal(goal: str) -> None:
    """Raise ConfigError unless goal is untargeted, target:CLASS or hide:CLASS."""
    kind, colon, name = goal.partition(":")
    if goal == "untargeted":
        return
    require(
        kind in ("target", "hide") and bool(colon),
        f"--goal is untargeted, target:CLASS or hide:CLASS; got {goal!r}",
    )
    require(name in CLASSES, f"--goal {goal}: {name!r} is not a VOC class{did_you_mean(name, CLASSES)}")
