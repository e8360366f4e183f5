"""Recipes by name: settings for a kind of machine, as TOML files in recipes/, under a --config file and flags.

A recipe's file has a table [about] (machine, and what was measured), and a table for each command that it has settings
for: [train-seg.data], [train-cls.optim] and so on.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import tomli

from vocctl.config.loading import from_tables

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config", bound="DataclassInstance")
RecipeName = Literal["laptop", "t4", "gpu", "best"]
RECIPES = get_args(RecipeName)


@dataclass(frozen=True)
class RecipeAbout:
    """What a recipe is for and what it reached. "" stands for what has not been measured."""

    machine: str  # what it is made for
    time: str  # wall time on measured_on
    memory: str  # of the process or of the GPU
    seg_score: str  # mean IoU, and on which images
    cls_score: str  # mAP, and on which images
    measured_on: str  # machine and date of these figures


def recipe_config(name: RecipeName, command: str, default: Config) -> Config:
    """Return default with the recipe's settings for this command. Raises ConfigError: a file with an unknown key."""
    return from_tables(default, _read(name).get(command, {}), f"recipe {name} [{command}]")


def recipe_about(name: RecipeName) -> RecipeAbout:
    return RecipeAbout(**_read(name)["about"])


def _read(name: RecipeName) -> dict[str, Any]:
    return tomli.loads(files("vocctl.config").joinpath("recipes", f"{name}.toml").read_text(encoding="utf-8"))
