"""The segmentation subtask on validation images: the Dice of each image's mask, without and with suppression."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vocctl.competition.classification import LabelPredictions
from vocctl.competition.ensemble import EnsembleSpec, NewCounter, mean_mask_probs
from vocctl.competition.fusion import SUPPRESS_THRESHOLDS, allowed_classes, argmax_labels, class_fractions
from vocctl.data.splits import LabeledSplit
from vocctl.labels import CLASSES
from vocctl.metrics.dice import competition_dice


@dataclass(frozen=True)
class SuppressionScores:
    """The Dice of the masks of N images under each threshold, and the areas of the classes."""

    dice: np.ndarray  # (N, SUPPRESS_THRESHOLDS): with each threshold; the first is off
    fractions: np.ndarray  # (N, 20): of each class in the mask without suppression


def segmentation_dice(segmenters: EnsembleSpec, splits: Sequence[LabeledSplit], new_counter: NewCounter) -> np.ndarray:
    """Dice of each validation image, (N,). splits: one per run."""
    images = [split.images for split in splits]
    dice = np.zeros(len(images[0]))
    for index, probs in mean_mask_probs(segmenters, images, new_counter):
        dice[index] = competition_dice(argmax_labels(probs), images[0].original_mask(index))
    return dice


def suppression_scores(
    segmenters: EnsembleSpec, splits: Sequence[LabeledSplit], labels: LabelPredictions, new_counter: NewCounter
) -> SuppressionScores:
    """Score every threshold of suppression. labels: what the classifiers predict for the same images."""
    images = [split.images for split in splits]
    dice = np.zeros((len(images[0]), len(SUPPRESS_THRESHOLDS)))
    fractions = np.zeros((len(images[0]), len(CLASSES)))
    for index, probs in mean_mask_probs(segmenters, images, new_counter):
        truth = images[0].original_mask(index)
        mask = argmax_labels(probs)
        fractions[index] = class_fractions(mask)
        dice[index] = competition_dice(mask, truth)
        for column, threshold in enumerate(SUPPRESS_THRESHOLDS[1:], start=1):
            allowed = allowed_classes(labels.probs[index], labels.predicted[index], threshold)
            if fractions[index][~allowed].any():  # otherwise the mask does not change
                dice[index, column] = competition_dice(argmax_labels(probs, allowed), truth)
    return SuppressionScores(dice, fractions)
