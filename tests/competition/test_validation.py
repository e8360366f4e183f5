"""The two models together on the test images: with the rules on, and what is expected of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from vocctl.competition.ensemble import EnsembleSpec
from vocctl.competition.fusion import class_fractions
from vocctl.competition.test_set import open_test_set
from vocctl.competition.validation import DecisionParams, _expected, predict_test_set, validation_dice
from vocctl.runs.folder import RunFolder


def quiet(verb: str, unit: str):
    return lambda done, total: None


def predicted(decisions: DecisionParams) -> list[tuple[np.ndarray, np.ndarray]]:
    runs = EnsembleSpec((RunFolder(Path("runs/cls/one")),), (RunFolder(Path("runs/seg/one")),), "none", "cpu")
    found = list(predict_test_set(runs, open_test_set(Path("data/h02a5a")), decisions, quiet))
    assert [place for place, _, _ in found] == list(range(6))
    return [(classes, labels) for _, classes, labels in found]


def test_without_rules_each_model_speaks_for_itself(world):
    off = DecisionParams(np.full(20, 0.5), rule_out=0.0, proof=1.01)
    never = DecisionParams(np.full(20, 1.0), rule_out=0.0, proof=1.01)
    for (classes, labels), (fewest, same) in zip(predicted(off), predicted(never), strict=True):
        assert (labels == same).all()
        assert labels.any()
        assert fewest.sum() == 1  # the likeliest, since none reaches 1
        assert (classes >= fewest).all()


def test_what_the_mask_shows_is_named(world):
    for classes, labels in predicted(DecisionParams(np.full(20, 1.0), rule_out=0.0, proof=0.01)):
        assert classes[class_fractions(labels) >= 0.01].all()


def test_what_the_classifier_rules_out_is_not_painted(world):
    """At 2 everything is ruled out but the one class that was chosen."""
    for classes, labels in predicted(DecisionParams(np.full(20, 1.0), rule_out=2.0, proof=1.01)):
        assert set(np.unique(labels)) - {0} <= {1 + int(classes.argmax())}
        assert labels.any()


def test_what_was_measured_once_is_kept_and_measured_anew_where_it_is_broken(world):
    runs, kept = (
        EnsembleSpec((RunFolder(Path("runs/cls/one")),), (), "none", "cpu"),
        Path("runs/cls/one/validation_dice.json"),
    )
    halves = validation_dice("cls", runs, quiet)
    assert halves.keys() == {"best", "final"}
    for text in ("{", "{}", '{"best": "x", "final": 1}', '{"best": 0.5, "final": NaN}'):
        kept.write_text(text)
        assert validation_dice("cls", runs, quiet) == json.loads(kept.read_text()) == halves
    kept.write_text('{"best": 0.25, "final": 0.5}')
    assert validation_dice("cls", runs, quiet) == {"best": 0.25, "final": 0.5}


def test_the_expected_score_and_its_interval():
    cls_dice, seg_dice = np.array([1.0, 0.0, 1.0, 0.0] * 25), np.array([0.0, 1.0, 0.0, 1.0] * 25)
    paired = _expected(cls_dice, seg_dice, True, ())
    # each image's two halves make 1/2 together: drawn as pairs nothing moves
    assert (paired.joint, *paired.interval) == pytest.approx((0.5, 0.5, 0.5))
    apart = _expected(cls_dice, seg_dice, False, ())
    # drawn apart: each half's mean has a deviation of .05, half their sum of .0354: 95 % is +- .069
    assert apart.joint == pytest.approx(0.5)
    assert apart.interval[0] == pytest.approx(0.5 - 0.069, abs=0.015)
    assert apart.interval[1] == pytest.approx(0.5 + 0.069, abs=0.015)
