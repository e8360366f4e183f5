"""Classifier and segmenter together on the test images, on two images with known probabilities."""

import numpy as np
import pytest
import torch

from vocctl.competition import prediction
from vocctl.competition.ensemble import EnsembleSpec
from vocctl.competition.prediction import DecisionParams, predict_test_set

SPEC = EnsembleSpec(runs=(), checkpoint="best", tta="none", device="cpu")
OFF = {"suppress_threshold": 0.0, "area_threshold": 1.01}


@pytest.fixture(autouse=True)
def _probs(monkeypatch):
    """The classifier's best class is 4 in image 0 and 5 in image 1; both masks hold class 1 on one of four pixels."""
    class_probs = np.full((2, 20), 0.01)
    class_probs[0, 3] = class_probs[1, 4] = 0.9
    mask_probs = torch.zeros(21, 2, 2)
    mask_probs[0] = 1.0
    mask_probs[:, 0, 0] = 0
    mask_probs[1, 0, 0], mask_probs[4, 0, 0], mask_probs[5, 0, 0] = 0.5, 0.3, 0.2
    monkeypatch.setattr(prediction, "cached_test_images", lambda *args: [])
    monkeypatch.setattr(prediction, "mean_class_probs", lambda *args: class_probs)
    monkeypatch.setattr(prediction, "mean_mask_probs", lambda *args: enumerate([mask_probs, mask_probs]))


def predict(threshold: float, **rules: float) -> list[tuple[list[int], int]]:
    """(classes, label of the pixel at 0, 0) of each image; the other pixels are background."""
    decisions = DecisionParams(np.full(20, threshold), **OFF | rules)
    predictions = list(predict_test_set(SPEC, SPEC, None, decisions, None))
    assert [index for index, _, _ in predictions] == [0, 1]
    assert all(np.count_nonzero(labels) == 1 for _, _, labels in predictions)
    return [((1 + np.flatnonzero(classes)).tolist(), int(labels[0, 0])) for _, classes, labels in predictions]


def test_without_rules_classes_and_masks_are_independent():
    assert predict(0.5) == [([4], 1), ([5], 1)]


def test_an_image_always_has_a_class():
    assert predict(1.0) == [([4], 1), ([5], 1)]


def test_classes_that_cover_enough_of_the_mask_become_labels():
    assert predict(0.5, area_threshold=0.25) == [([1, 4], 1), ([1, 5], 1)]
    assert predict(0.5, area_threshold=0.26) == [([4], 1), ([5], 1)]


def test_suppressed_classes_are_not_in_the_mask():
    assert predict(0.5, suppress_threshold=0.02) == [([4], 4), ([5], 5)]
    # labels come from the mask without suppression
    assert predict(0.5, suppress_threshold=0.02, area_threshold=0.25) == [([1, 4], 4), ([1, 5], 5)]
