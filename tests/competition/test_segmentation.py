"""Dice of masks with and without suppression, on two images with known probabilities."""

import numpy as np
import pytest
import torch

from vocctl.competition import segmentation
from vocctl.competition.classification import LabelPredictions
from vocctl.competition.fusion import SUPPRESS_THRESHOLDS
from vocctl.competition.segmentation import segmentation_dice, suppression_scores

TRUTHS = (np.array([[1, 1, 1, 1]], np.uint8), np.array([[2, 2, 0, 255]], np.uint8))


class FakeSplit:
    """Stands for a LabeledSplit, and for its images, of which only the masks are read."""

    def __init__(self) -> None:
        self.images = self

    def __len__(self) -> int:
        return len(TRUTHS)

    def original_mask(self, index: int) -> np.ndarray:
        return TRUTHS[index]


@pytest.fixture(autouse=True)
def _probs(monkeypatch):
    """Both images: class 1 on pixels 0 and 1, class 2 next; background on pixels 2 and 3, class 1 next."""
    probs = torch.zeros(21, 1, 4)
    probs[1, 0, :2], probs[2, 0, :2] = 0.6, 0.4
    probs[0, 0, 2:], probs[1, 0, 2:] = 0.7, 0.3
    monkeypatch.setattr(segmentation, "mean_mask_probs", lambda *args: enumerate([probs, probs]))


def test_dice_without_suppression():
    # image 0: 2 of 4 pixels: 2 * 2 / (2 + 4); image 1: class 1 instead of class 2
    assert segmentation_dice(None, [FakeSplit()], None) == pytest.approx([2 / 3, 0])


def test_dice_of_each_threshold():
    class_probs = np.full((2, 20), 0.5)
    class_probs[:, 0] = 0.03  # of class 1: suppressed from the threshold .05 on
    predicted = np.zeros((2, 20), bool)
    predicted[0, 0] = True  # but not in image 0, whose label it is
    scores = suppression_scores(None, [FakeSplit()], LabelPredictions(class_probs, predicted, predicted), None)
    assert scores.fractions[:, 0].tolist() == [0.5, 0.5]
    assert scores.fractions[:, 1:].sum() == 0
    # image 1: class 2 on pixels 0 and 1, as in the ground truth; a threshold that changes nothing keeps the Dice
    expected = [0.0 if threshold < 0.05 else 1.0 for threshold in SUPPRESS_THRESHOLDS]
    assert scores.dice[0] == pytest.approx([2 / 3] * len(SUPPRESS_THRESHOLDS))
    assert scores.dice[1] == pytest.approx(expected)
