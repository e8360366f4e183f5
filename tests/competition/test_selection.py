"""Which checkpoint is chosen, and when a run's validation Dice is computed again."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from vocctl.competition import selection
from vocctl.competition.ensemble import EnsembleSpec
from vocctl.competition.selection import choose_checkpoint, validation_dice
from vocctl.competition.subtasks import Subtask
from vocctl.runs.folder import RunFolder
from vocctl.runs.kinds import CLS

DICE = {"best": np.array([0.25, 0.5]), "final": np.array([0.5, 0.5])}  # of two images; means .375 and .5
SUBTASK = Subtask("classification", CLS, (), lambda spec, splits, counter: DICE[spec.checkpoint])


@pytest.fixture
def spec(tmp_path, monkeypatch) -> EnsembleSpec:
    """A run with both checkpoints."""
    monkeypatch.setattr(selection, "common_validation_splits", lambda runs: (None, []))
    for name in ("best", "final"):
        (tmp_path / f"{name}.safetensors").touch()
    return EnsembleSpec(runs=(RunFolder(tmp_path),), checkpoint="best", tta="none", device="cpu")


def file_of(spec: EnsembleSpec) -> Path:
    return spec.runs[0].path / "validation_dice.json"


def test_the_checkpoint_with_the_higher_mean_dice_is_chosen(spec):
    chosen, reason = choose_checkpoint(SUBTASK, spec, None)
    assert chosen.checkpoint == "final"
    assert reason == "classification: final checkpoint, by Dice on the validation images (best 37.5, final 50.0)"


def test_an_unfinished_run_has_only_its_best_checkpoint(spec):
    (spec.runs[0].path / "final.safetensors").unlink()
    assert choose_checkpoint(SUBTASK, spec, None)[0].checkpoint == "best"


def test_validation_dice_is_cached_until_it_is_invalid_or_the_weights_are_newer(spec):
    computed = {"best": 0.375, "final": 0.5}
    assert validation_dice(SUBTASK, spec, None) == computed
    for text in ("{", "{}", '{"best": "x", "final": 1}', '{"best": 0.5, "final": NaN}'):
        file_of(spec).write_text(text)
        assert validation_dice(SUBTASK, spec, None) == json.loads(file_of(spec).read_text()) == computed
    file_of(spec).write_text('{"best": 0.75, "final": 0.25}')
    assert validation_dice(SUBTASK, spec, None) == {"best": 0.75, "final": 0.25}
    weights = spec.runs[0].path / "final.safetensors"
    os.utime(weights, (0, file_of(spec).stat().st_mtime + 1))
    assert validation_dice(SUBTASK, spec, None) == computed


def test_validation_dice_with_test_time_augmentation_is_not_cached(spec):
    file_of(spec).write_text('{"best": 0.75, "final": 0.25}')
    augmented = EnsembleSpec(runs=spec.runs, checkpoint="best", tta="flip", device="cpu")
    assert validation_dice(SUBTASK, augmented, None) == {"best": 0.375, "final": 0.5}
    assert json.loads(file_of(spec).read_text()) == {"best": 0.75, "final": 0.25}
