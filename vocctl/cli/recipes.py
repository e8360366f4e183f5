"""`vocctl recipes`."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from vocctl.cli import messages, tables
from vocctl.config import TrainClsConfig, TrainSegConfig
from vocctl.config.data import MAX_CHOSEN_SIZE
from vocctl.config.recipes import RECIPES, recipe_about, recipe_config


def recipes(
    as_json: Annotated[bool, typer.Option("--json", help="Print only one JSON line per recipe.")] = False,
) -> None:
    """List the recipes of --recipe: machine, models, sizes, and the time, memory and scores that were measured."""
    rows = [_row(name) for name in RECIPES]
    if as_json:
        for row in rows:
            messages.print_line(json.dumps(row))
        return
    tables.print_recipes(rows)
    messages.print_line("vocctl train-seg --recipe NAME; flags and a --config file override a recipe's settings")


def _row(name: Any) -> dict[str, Any]:
    seg = recipe_config(name, "train-seg", TrainSegConfig())
    cls = recipe_config(name, "train-cls", TrainClsConfig())
    about = asdict(recipe_about(name))
    return {
        "recipe": name,
        "machine": about.pop("machine"),
        "segmenter": f"{seg.model.encoder}, {seg.model.decoder}, {seg.data.size or f'up to {MAX_CHOSEN_SIZE}'} px",
        "classifier": f"{cls.model.model}, {cls.data.size} px",
        "batch": f"{seg.train.batch}, {cls.train.batch}",
        "precision": f"{seg.train.precision}, {cls.train.precision}",
        **about,
    }
