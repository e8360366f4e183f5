"""Scores of label sets against counts by hand."""

import numpy as np
import pytest

from vocctl.labels import IGNORE
from vocctl.metrics.multilabel import (
    cooccurrence,
    decision_scores,
    expected_calibration_error,
    multilabel_confusion,
    sample_f1,
)

CHOSEN = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0]], bool)
TARGETS = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]])


def test_by_hand():
    scores = decision_scores(CHOSEN, TARGETS)
    # class 0: 2 of 2 right, 2 of 2 found; class 1: 1 of 2 right, 1 of 2 found; class 2: never there, never chosen
    assert scores.precision[:2].tolist() == [1, 0.5]
    assert scores.recall[:2].tolist() == [1, 0.5]
    assert scores.f1[:2].tolist() == [1, 0.5]
    assert np.isnan([scores.precision[2], scores.recall[2], scores.f1[2]]).all()
    assert scores.macro_f1 == pytest.approx(0.75)
    # together: 3 hits, 4 chosen, 4 there
    assert scores.micro_precision == scores.micro_recall == scores.micro_f1 == pytest.approx(3 / 4)
    # images: 2 * 1 / (2 + 1), 2 * 1 / (1 + 2), 1
    assert scores.sample_f1 == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert scores.exact_match == pytest.approx(1 / 3)
    assert scores.hamming_accuracy == pytest.approx(7 / 9)


def test_difficult_pairs_count_nowhere():
    targets = TARGETS.copy()
    targets[0, 1] = targets[1, 1] = IGNORE
    scores = decision_scores(CHOSEN, targets)
    assert scores.exact_match == 1
    assert scores.sample_f1 == 1
    assert scores.hamming_accuracy == 1
    assert scores.micro_f1 == 1


def test_a_class_that_occurs_and_is_never_chosen():
    scores = decision_scores(np.zeros((2, 1), bool), np.array([[1], [0]]))
    assert (scores.precision[0], scores.recall[0], scores.f1[0]) == (0, 0, 0)


def test_a_class_that_is_chosen_and_never_occurs():
    scores = decision_scores(np.ones((2, 1), bool), np.array([[0], [0]]))
    assert scores.precision[0] == 0
    assert np.isnan(scores.recall[0])
    assert np.isnan(scores.macro_f1)


def test_two_empty_sets_agree():
    empty = np.zeros((1, 3), bool)
    assert sample_f1(empty, empty).tolist() == [1]
    assert sample_f1(empty, ~empty).tolist() == [0]


def test_calibration_by_hand():
    probs = np.array([[0.9, 0.9], [0.9, 0.1]])
    targets = np.array([[1, 0], [1, 0]])
    # one bin has three pairs of .9, two of them true; another has one pair of .1, false
    expected = (3 * abs(2 / 3 - 0.9) + 1 * 0.1) / 4
    assert expected_calibration_error(probs, targets) == pytest.approx(expected)


def test_sure_and_right_is_calibrated_and_difficult_pairs_are_left_out():
    probs = np.array([[1.0, 0.0, 0.5]])
    assert expected_calibration_error(probs, np.array([[1, 0, IGNORE]])) == 0


def test_found_beside_by_hand() -> None:
    # three images, three classes; image 2 says nothing of class 2
    targets = np.array([[1, 0, 0], [1, 1, 0], [1, 0, IGNORE]])
    decided = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1]], bool)
    found = multilabel_confusion(decided, targets)
    # class 0: found on 2 of 3; class 1 is absent on images 0 and 2 and decided on both; class 2 absent on 0 and 1, never
    assert found[0].tolist() == pytest.approx([2 / 3, 1, 0])
    # class 1, on image 1 alone: found; class 0 is on that image too, so it can't be confused there
    assert np.isnan(found[1, 0])
    assert found[1, 1:].tolist() == [1, 0]
    assert np.isnan(found[2]).all()


def test_occurs_beside_by_hand() -> None:
    targets = np.array([[1, 0, 0], [1, 1, 0], [1, 0, IGNORE]])
    beside = cooccurrence(targets)
    assert beside[0].tolist() == pytest.approx([1, 1 / 3, 0])
    assert beside[1].tolist() == [1, 1, 0]
    assert np.isnan(beside[2]).all()
