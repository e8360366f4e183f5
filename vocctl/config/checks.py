"""What a config refuses: a value outside its choices, a number outside its range, a budget or a goal that is none."""

import difflib
from collections.abc import Iterable

from vocctl.errors import ConfigError
from vocctl.labels import CLASSES

NORMS = ("linf", "l2")


def closest(word: str, known: Iterable[str]) -> str:
    """', did you mean X?' when a known word is near, else ''."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f", did you mean {near[0]}?" if near else ""


def check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"{name} is one of {', '.join(known)}; got {value!r}{closest(value, known)}")


def require(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(message)


def parse_epsilon(text: str) -> float:
    """A budget for pixels in [0, 1] from 8/255, 8px (the same) or 0.03. Raises ConfigError."""
    try:
        above, slash, below = text.strip().removesuffix("px").partition("/")
        value = float(above) / (float(below) if slash else 255 if text.strip().endswith("px") else 1)
    except (ValueError, ZeroDivisionError) as error:
        raise ConfigError(f"eps is written as 8/255, 8px or 0.03, for pixels in [0, 1]; got {text!r}") from error
    require(0 < value < 1e6, f"eps is above 0, got {text!r}")
    return value


def check_budget(text: str, norm: str) -> None:
    """Raises ConfigError: no budget, or with linf one below an image's levels of 1/255 or above the whole range."""
    smallest = norm == "linf" and parse_epsilon(text) * 255 < 1 - 1e-4
    require(not smallest, f"eps {text} is less than one of an image's levels: with linf take 1/255 or more")
    beyond = norm == "linf" and parse_epsilon(text) > 1
    require(
        not beyond, f"eps {text} is more than all of a pixel's range [0, 1]: steps of 1/255 are written as 8px or 8/255"
    )
    parse_epsilon(text)


def check_goal(goal: str) -> None:
    """Raises ConfigError unless goal is untargeted, target:CLASS or hide:CLASS."""
    kind, colon, name = goal.partition(":")
    if goal == "untargeted":
        return
    require(kind in ("target", "hide") and bool(colon), f"goal is untargeted, target:CLASS or hide:CLASS; got {goal!r}")
    require(name in CLASSES, f"goal {goal}: VOC has no class {name!r}{closest(name, CLASSES)}")
