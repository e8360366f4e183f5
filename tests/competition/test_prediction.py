"""Classifier and segmenter together on the test images, with each rule."""

from pathlib import Path

import numpy as np

from vocctl.competition.ensemble import EnsembleSpec
from vocctl.competition.fusion import class_fractions
from vocctl.competition.prediction import DecisionParams, predict_test_set
from vocctl.competition.test_set import open_test_set
from vocctl.runs.folder import RunFolder

NEVER = np.full(20, 1.0)  # thresholds that no probability reaches: one class per image is predicted


def new_counter(verb: str, unit: str):
    return lambda done, total: None


def predict(decisions: DecisionParams) -> list[tuple[np.ndarray, np.ndarray]]:
    """(classes, label map) of each test image."""
    classifiers, segmenters = (
        EnsembleSpec(runs=(RunFolder(Path(f"runs/{kind}/one")),), checkpoint="best", tta="none", device="cpu")
        for kind in ("cls", "seg")
    )
    test_set = open_test_set(Path("data/h02a5a"))
    predictions = list(predict_test_set(classifiers, segmenters, test_set, decisions, new_counter))
    assert [index for index, _, _ in predictions] == list(range(6))
    return [(classes, labels) for _, classes, labels in predictions]


def test_without_rules_classes_and_masks_are_independent(world):
    off = predict(DecisionParams(np.full(20, 0.5), suppress_threshold=0.0, area_threshold=1.01))
    single = predict(DecisionParams(NEVER, suppress_threshold=0.0, area_threshold=1.01))
    for (classes, labels), (single_class, same_labels) in zip(off, single, strict=True):
        assert (labels == same_labels).all()
        assert labels.any()
        assert single_class.sum() == 1
        assert (classes >= single_class).all()


def test_classes_in_the_mask_become_labels(world):
    for classes, labels in predict(DecisionParams(NEVER, suppress_threshold=0.0, area_threshold=0.01)):
        assert classes[class_fractions(labels) >= 0.01].all()


def test_suppressed_classes_are_not_in_the_mask(world):
    """A threshold of 2 suppresses every class but the predicted one."""
    for classes, labels in predict(DecisionParams(NEVER, suppress_threshold=2.0, area_threshold=1.01)):
        assert set(np.unique(labels)) - {0} <= {1 + int(classes.argmax())}
        assert labels.any()
