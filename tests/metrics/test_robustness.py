"""Flips, fooling rates and the worst attack, by hand."""

import math

import numpy as np
import pytest

from vocctl.metrics.robustness import binary_cross_entropy, label_flips, pixel_flips, worst


def test_label_flips_by_hand():
    targets = np.array([[1, 0], [0, 1], [1, 255]])
    before = np.array([[True, False], [True, True], [True, True]])  # right, wrong, right (the second label is left out)
    after = np.array([[True, True], [True, True], [True, False]])  # turned, same, turned where it does not count
    flips = label_flips(before, after, targets)
    assert flips.changed == pytest.approx(1 / 3)
    assert flips.fooled == pytest.approx(1 / 2)
    assert flips.flipped == pytest.approx(1 / 5)  # of the five pairs that count
    assert flips.by_class.tolist() == pytest.approx([0, 1 / 2])


def test_nothing_right_before_leaves_fooled_undefined():
    targets, before = np.array([[1, 0]]), np.array([[False, True]])
    assert math.isnan(label_flips(before, before, targets).fooled)


def test_pixel_flips_by_hand():
    truth = np.array([[0, 1, 1, 255]])
    before, after = np.array([[0, 1, 2, 3]]), np.array([[0, 2, 3, 4]])
    flips = pixel_flips(before, after, truth)
    assert (flips.labeled, flips.changed, flips.right, flips.fooled) == (3, 2, 2, 1)


def test_binary_cross_entropy_by_hand():
    probs, targets = np.array([[0.8, 0.5, 0.1]]), np.array([[1, 255, 0]])
    assert binary_cross_entropy(probs, targets) == pytest.approx([(-math.log(0.8) - math.log(0.9)) / 2])


def test_the_worst_of_each_image():
    assert worst(np.array([[0.1, 0.5, 0.2], [0.3, 0.5, 0.1]])).tolist() == [1, 0, 0]
