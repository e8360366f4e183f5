"""What is known of the models that --encoder and --model accept, from models.csv: read without timm, whose import takes seconds.

docs/make_model_table.py writes models.csv. Models of a newer timm work too, but are not in it.
"""

import csv
import difflib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

from vocctl.config.classification import TrainClsConfig
from vocctl.config.recipes import RECIPES, recipe_config
from vocctl.config.segmentation import TrainSegConfig
from vocctl.errors import ConfigError


@dataclass(frozen=True)
class ModelInfo:
    name: str
    parameters: int  # with timm's classification head
    strides: tuple[int, ...]  # of its feature maps; a plain ViT has one; none: no feature maps
    input_size: int  # side of the images that it was trained on, in pixels; 0: not trained
    is_encoder: bool  # whether --encoder accepts it; --model accepts all
    weights: str  # packaged, hub or none
    tags: tuple[str, ...]  # of its weights on the hub, the default first: NAME.TAG names one


@cache
def known_models() -> tuple[ModelInfo, ...]:
    """All models of the table, by name; our own one first."""
    lines = files("vocctl.config").joinpath("models.csv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(lines)
    return tuple(
        ModelInfo(
            name=row["name"],
            parameters=int(row["parameters"]),
            strides=tuple(map(int, row["strides"].split())),
            input_size=int(row["input_size"]),
            is_encoder=row["encoder"] == "1",
            weights=row["weights"],
            tags=tuple(row["tags"].split()),
        )
        for row in rows
    )


def find_models(pattern: str) -> list[ModelInfo]:
    """The models that a pattern with * and ? matches; without them also those that contain it, if none has that name.

    A tag of weights, as in convnext_tiny.fb_in1k, is left out. Raises ConfigError, with close names: no match.
    """
    wanted = pattern.lower().partition(".")[0]
    found = [model for model in known_models() if fnmatchcase(model.name, wanted)]
    if not found and wanted and not set("*?[") & set(wanted):
        found = [model for model in known_models() if wanted in model.name]
    if not found:
        near = difflib.get_close_matches(wanted.strip("*"), [model.name for model in known_models()], n=3, cutoff=0.4)
        hint = f": close names are {', '.join(near)}" if near else ": try 'resnet*' or 'convnext*'"
        raise ConfigError(f"no model matches {pattern!r}{hint}")
    return found


def recommended_models() -> list[ModelInfo]:
    """Models with packaged weights, our own, and those of the recipes."""
    names = [
        name
        for recipe in RECIPES
        for name in (
            recipe_config(recipe, "train-seg", TrainSegConfig()).model.encoder,
            recipe_config(recipe, "train-cls", TrainClsConfig()).model.model,
        )
    ]
    packaged = [model for model in known_models() if model.weights == "packaged"]
    of_recipes = {name.partition(".")[0] for name in names}
    others = [model for model in known_models() if model.name in of_recipes | {"scratch"}]
    return list(dict.fromkeys([*packaged, *others]))
