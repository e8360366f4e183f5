"""The validation Dice of a run: computed once, and again if its file is invalid or older than the weights."""

import json
import os
from pathlib import Path

import pytest

from vocctl.competition.ensemble import EnsembleSpec
from vocctl.competition.selection import validation_dice
from vocctl.competition.subtasks import CLASSIFICATION
from vocctl.runs.folder import RunFolder

PATH = Path("runs/cls/one/validation_dice.json")


def new_counter(verb: str, unit: str):
    return lambda done, total: None


@pytest.fixture
def spec(world) -> EnsembleSpec:
    return EnsembleSpec(runs=(RunFolder(PATH.parent),), checkpoint="best", tta="none", device="cpu")


def test_validation_dice_is_cached_in_the_run(spec):
    computed = validation_dice(CLASSIFICATION, spec, new_counter)
    assert computed.keys() == {"best", "final"}
    for text in ("{", "{}", '{"best": "x", "final": 1}', '{"best": 0.5, "final": NaN}'):
        PATH.write_text(text)
        assert validation_dice(CLASSIFICATION, spec, new_counter) == json.loads(PATH.read_text()) == computed
    PATH.write_text('{"best": 0.25, "final": 0.5}')
    assert validation_dice(CLASSIFICATION, spec, new_counter) == {"best": 0.25, "final": 0.5}
    weights = PATH.with_name("final.safetensors")
    os.utime(weights, (weights.stat().st_atime, PATH.stat().st_mtime + 1))
    assert validation_dice(CLASSIFICATION, spec, new_counter) == computed
