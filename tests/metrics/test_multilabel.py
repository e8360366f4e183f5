"""Scores of label sets, by hand and against scikit-learn."""

import numpy as np
import pytest

from vocctl.labels import IGNORE
from vocctl.metrics.multilabel import (
    cooccurrence,
    expected_calibration_error,
    multilabel_confusion,
    multilabel_scores,
    sample_f1,
)

PREDICTED = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0]], bool)
TARGETS = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]])


def label_scores(predicted, targets):
    """The scores of label sets; the probabilities are 1 where a label is predicted, else 0."""
    return multilabel_scores(predicted.astype(float), predicted, targets)


def test_by_hand():
    scores = label_scores(PREDICTED, TARGETS)
    # class 0: 2 TP; class 1: 1 TP, 1 FP, 1 FN; class 2: neither predicted nor true
    assert scores.precision[:2].tolist() == [1, 0.5]
    assert scores.recall[:2].tolist() == [1, 0.5]
    assert scores.f1[:2].tolist() == [1, 0.5]
    assert np.isnan([scores.precision[2], scores.recall[2], scores.f1[2]]).all()
    assert scores.macro_f1 == pytest.approx(0.75)
    # together: 3 TP, 4 predicted, 4 true
    assert scores.micro_precision == scores.micro_recall == scores.micro_f1 == pytest.approx(3 / 4)
    # images: 2 * 1 / (2 + 1), 2 * 1 / (1 + 2), 1
    assert scores.sample_f1 == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert scores.exact_match == pytest.approx(1 / 3)
    assert scores.hamming_accuracy == pytest.approx(7 / 9)
    # probability 1: 3 of 4 pairs are true; probability 0: 1 of 5
    assert scores.calibration_error == pytest.approx((4 * 1 / 4 + 5 * 1 / 5) / 9)


def test_ignored_pairs_count_in_no_score():
    targets = TARGETS.copy()
    targets[0, 1] = targets[1, 1] = IGNORE
    scores = label_scores(PREDICTED, targets)
    assert scores.exact_match == 1
    assert scores.sample_f1 == 1
    assert scores.hamming_accuracy == 1
    assert scores.micro_f1 == 1


def test_a_class_with_positives_that_is_never_predicted():
    scores = label_scores(np.zeros((2, 2), bool), np.array([[1, 0], [0, 0]]))
    assert (scores.precision[0], scores.recall[0], scores.f1[0]) == (0, 0, 0)
    assert np.isnan(scores.micro_precision)
    assert (scores.micro_recall, scores.micro_f1, scores.macro_f1) == (0, 0, 0)


def test_a_class_without_positives_that_is_predicted():
    scores = label_scores(np.ones((2, 2), bool), np.zeros((2, 2), int))
    assert scores.precision.tolist() == [0, 0]
    assert np.isnan(scores.recall).all()
    assert np.isnan([scores.macro_f1, scores.micro_recall]).all()
    assert (scores.micro_precision, scores.micro_f1) == (0, 0)


def test_without_any_labeled_pair_only_per_image_scores_are_defined():
    scores = label_scores(np.ones((2, 2), bool), np.full((2, 2), IGNORE))
    assert np.isnan([scores.micro_f1, scores.macro_f1, scores.hamming_accuracy]).all()
    assert (scores.sample_f1, scores.exact_match) == (1, 1)


@pytest.mark.parametrize("seed", range(3))
def test_precision_recall_and_f1_are_ratios_of_counts(seed):
    generator = np.random.default_rng(seed)
    predicted = generator.random((50, 4)) < 0.3
    targets = (generator.random((50, 4)) < 0.3).astype(int)
    targets[generator.random((50, 4)) < 0.2] = IGNORE
    hits = (predicted & (targets == 1)).sum(0)
    num_predicted, num_true = (predicted & (targets != IGNORE)).sum(0), (targets == 1).sum(0)
    scores = label_scores(predicted, targets)
    assert scores.precision == pytest.approx(hits / num_predicted, abs=1e-12)
    assert scores.recall == pytest.approx(hits / num_true, abs=1e-12)
    assert scores.f1 == pytest.approx(2 * hits / (num_predicted + num_true), abs=1e-12)
    assert scores.micro_f1 == pytest.approx(2 * hits.sum() / (num_predicted + num_true).sum(), abs=1e-12)


def test_sample_f1_of_empty_label_sets():
    empty = np.zeros((1, 3), bool)
    assert sample_f1(empty, empty).tolist() == [1]
    assert sample_f1(empty, ~empty).tolist() == [0]


def test_calibration_by_hand():
    probs = np.array([[0.9, 0.9], [0.9, 0.1]])
    targets = np.array([[1, 0], [1, 0]])
    # one bin has three pairs of .9, two of them true; another has one pair of .1, false
    expected = (3 * abs(2 / 3 - 0.9) + 1 * 0.1) / 4
    assert expected_calibration_error(probs, targets) == pytest.approx(expected)


def test_calibration_of_certain_and_correct_predictions_without_ignored_pairs():
    probs = np.array([[1.0, 0.0, 0.5]])
    assert expected_calibration_error(probs, np.array([[1, 0, IGNORE]])) == 0


def test_multilabel_confusion_by_hand() -> None:
    # three images, three classes; class 2 is ignored on image 2
    targets = np.array([[1, 0, 0], [1, 1, 0], [1, 0, IGNORE]])
    predicted = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1]], bool)
    confusion = multilabel_confusion(predicted, targets)
    # class 0: predicted on 2 of 3; class 1 is absent from images 0 and 2, predicted on both; class 2 on none of 0 and 1
    assert confusion[0].tolist() == pytest.approx([2 / 3, 1, 0])
    # class 1 is on image 1 only and predicted; class 0 is on that image too, so that it cannot be a confusion
    assert np.isnan(confusion[1, 0])
    assert confusion[1, 1:].tolist() == [1, 0]
    assert np.isnan(confusion[2]).all()


def test_cooccurrence_by_hand() -> None:
    targets = np.array([[1, 0, 0], [1, 1, 0], [1, 0, IGNORE]])
    fractions = cooccurrence(targets)
    assert fractions[0].tolist() == pytest.approx([1, 1 / 3, 0])
    assert fractions[1].tolist() == [1, 1, 0]
    assert np.isnan(fractions[2]).all()


def test_calibration_puts_a_probability_of_1_into_the_last_bin():
    # .95 true and 1 false are in the bin of 14/15 to 1: half of the pairs are true, the mean probability is .975
    assert expected_calibration_error(np.array([[0.95, 1.0]]), np.array([[1, 0]])) == pytest.approx(0.975 - 0.5)
