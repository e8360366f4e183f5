"""Predict the test images with the classifiers and the segmenters together."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vocctl.competition.ensemble import (
    EnsembleSpec,
    NewCounter,
    cached_test_images,
    mean_class_probs,
    mean_mask_probs,
)
from vocctl.competition.fusion import add_mask_labels, allowed_classes, argmax_labels, class_fractions
from vocctl.competition.test_set import TestSet
from vocctl.inference.thresholds import binarize


@dataclass(frozen=True)
class DecisionParams:
    """Fitted on the validation images, applied to the test images."""

    thresholds: np.ndarray  # (20,): of the class probabilities
    suppress_threshold: float  # of the suppression rule; 0: off
    area_threshold: float  # of the mask labels rule; above 1: off


def predict_test_set(
    classifiers: EnsembleSpec,
    segmenters: EnsembleSpec,
    test_set: TestSet,
    decisions: DecisionParams,
    new_counter: NewCounter,
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield (image index, classes (20,) bool, label map (H, W) uint8) for each test image; neither is ever empty."""
    images = cached_test_images(classifiers.runs, test_set, new_counter)
    probs = mean_class_probs(classifiers, images, new_counter)
    predicted = binarize(probs, decisions.thresholds)
    images = cached_test_images(segmenters.runs, test_set, new_counter)
    for index, mask_probs in mean_mask_probs(segmenters, images, new_counter):
        labels = argmax_labels(mask_probs)
        classes = add_mask_labels(predicted[index], class_fractions(labels), decisions.area_threshold)
        if decisions.suppress_threshold > 0:
            allowed = allowed_classes(probs[index], predicted[index], decisions.suppress_threshold)
            labels = argmax_labels(mask_probs, allowed)
        yield index, classes, labels
