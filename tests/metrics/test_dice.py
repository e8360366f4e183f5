"""The competition's Dice, against the boolean stack that defines it."""

import numpy as np
import pytest

from vocctl.labels import IGNORE
from vocctl.metrics.dice import competition_dice


def one_hot(labels: np.ndarray) -> np.ndarray:
    """(20, H, W): plane j - 1 holds class j."""
    return np.stack([labels == label for label in range(1, 21)])


def naive(predicted: np.ndarray, truth: np.ndarray) -> float:
    x, y = one_hot(predicted), one_hot(truth)
    return 2 * (x & y).sum() / (x.sum() + y.sum())


def test_by_hand():
    truth = np.array([[0, 3, 3], [5, 5, 0]])
    predicted = np.array([[3, 3, 0], [5, 3, 0]])
    # correct: one pixel of class 3, one of class 5. |P| = 4, |T| = 4
    assert competition_dice(predicted, truth) == 2 * 2 / 8


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_dice_of_the_boolean_stack(seed):
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 21, (11, 7)).astype(np.uint8)
    predicted = np.where(generator.random(truth.shape) < 0.5, truth, generator.integers(0, 21, truth.shape))
    assert competition_dice(predicted, truth) == pytest.approx(naive(predicted, truth))


def test_void_counts_as_background():
    truth = np.array([[4, IGNORE, 0]], np.uint8)
    # a prediction on the border is a false positive: 2 * 1 / (2 + 1)
    assert competition_dice(np.array([[4, 4, 0]]), truth) == pytest.approx(2 / 3)
    assert competition_dice(np.array([[4, 0, 0]]), truth) == 1
    assert truth[0, 1] == IGNORE  # the caller's mask is not changed


def test_empty_sets():
    empty, filled = np.zeros((2, 2), np.uint8), np.full((2, 2), 7, np.uint8)
    assert competition_dice(empty, empty) == 1
    assert competition_dice(empty, np.full((2, 2), IGNORE, np.uint8)) == 1
    assert competition_dice(filled, empty) == 0
    assert competition_dice(empty, filled) == 0
