"""Flip rates, fooling rates and the worst attack, worked out by hand."""

import math

import numpy as np
import pytest

from vocctl.metrics.robustness import binary_cross_entropy, label_flips, pixel_flips


def test_label_flips_by_hand():
    targets = np.array([[1, 0], [0, 1], [1, 255]])
    before = np.array([[True, False], [True, True], [True, True]])  # correct, wrong, correct (class 1 is ignored)
    after = np.array([[True, True], [True, True], [True, False]])  # changed, unchanged, changed where ignored
    flips = label_flips(before, after, targets)
    assert flips.prediction_change_rate == pytest.approx(1 / 3)
    assert flips.fooling_rate == pytest.approx(1 / 2)
    assert flips.label_flip_rate == pytest.approx(1 / 5)  # of the five labeled pairs
    assert flips.flip_rate_by_class.tolist() == pytest.approx([0, 1 / 2])


def test_fooling_rate_is_nan_without_a_correct_prediction():
    targets, before = np.array([[1, 0]]), np.array([[False, True]])
    assert math.isnan(label_flips(before, before, targets).fooling_rate)


def test_flip_rate_is_nan_for_a_class_that_is_ignored_in_all_images():
    targets, labels = np.array([[1, 255]]), np.array([[True, False]])
    rates = label_flips(labels, ~labels, targets).flip_rate_by_class
    assert rates[0] == 1
    assert math.isnan(rates[1])


def test_pixel_flips_by_hand():
    mask = np.array([[0, 1, 1, 255]])
    before, after = np.array([[0, 1, 2, 3]]), np.array([[0, 2, 3, 4]])
    flips = pixel_flips(before, after, mask)
    assert (flips.labeled, flips.changed, flips.correct_before, flips.fooled) == (3, 2, 2, 1)


def test_binary_cross_entropy_by_hand():
    probs, targets = np.array([[0.8, 0.5, 0.1]]), np.array([[1, 255, 0]])
    assert binary_cross_entropy(probs, targets) == pytest.approx([(-math.log(0.8) - math.log(0.9)) / 2])
