"""Two rules that combine a classifier with a segmenter, and the test of whether they help.

Suppression removes from the masks the classes whose probability, by the classifier, is below a threshold. Mask labels adds
to the labels the classes that cover at least a threshold fraction of the mask. A rule is used only if it helps on images
that neither model was trained on: its threshold is fitted on four fifths of them and scored on the remaining fifth, and the
95 % interval of the gain must be above 0.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vocctl.inference.thresholds import FOLDS
from vocctl.labels import CLASSES
from vocctl.metrics.bootstrap import interval, resampled

SUPPRESS_THRESHOLDS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)  # of the class probability; 0: off
AREA_THRESHOLDS = (1.01, 0.2, 0.1, 0.05, 0.02, 0.01)  # of the fraction of the mask; above 1: off
RESAMPLES = 1000


@dataclass(frozen=True)
class RuleEvaluation:
    """The effect of one rule on the validation images."""

    rule: str  # suppression or mask labels
    threshold: float  # with the highest mean Dice on all images; the one that is off, if none is better
    gain: float  # of mean Dice, each image scored with the threshold fitted on the other folds
    interval: tuple[float, float]  # of the gain, 95 %
    used: bool


def allowed_classes(probs: np.ndarray, predicted: np.ndarray, suppress_threshold: float) -> np.ndarray:
    """Classes that may be in the mask of an image, (20,) bool: not suppressed, or predicted by the classifier.

    probs: (20,) in [0, 1]. predicted: (20,) bool.
    """
    allowed: np.ndarray = (probs >= suppress_threshold) | predicted
    return allowed


def argmax_labels(probs: Tensor, allowed: np.ndarray | None = None) -> np.ndarray:
    """The most probable class of each pixel, (H, W) uint8, with at least one foreground pixel.

    probs: (21, H, W). allowed: (20,) bool, the foreground classes that may be predicted; None: all.
    An empty mask scores 0, so if all pixels are background, the foreground class with the highest mean probability gets the
    pixels where its probability is at least half its maximum.
    """
    if allowed is not None and not allowed.all():
        probs = probs.clone()
        probs[1:][torch.from_numpy(~allowed)] = 0
    labels = probs.argmax(dim=0)
    if not labels.any():
        best = int(probs[1:].mean(dim=(1, 2)).argmax())
        best_probs = probs[1 + best]
        labels = (best_probs >= best_probs.max() / 2) * (best + 1)
    return labels.to(torch.uint8).numpy()


def class_fractions(labels: np.ndarray) -> np.ndarray:
    """Fraction of the pixels of each foreground class, (20,). labels: (H, W)."""
    return np.bincount(labels.ravel(), minlength=len(CLASSES) + 1)[1:] / labels.size


def add_mask_labels(predicted: np.ndarray, fractions: np.ndarray, area_threshold: float) -> np.ndarray:
    """Add the classes that cover at least area_threshold of the mask.

    All (..., 20); fractions as class_fractions returns.
    """
    labels: np.ndarray = predicted | (fractions >= area_threshold)
    return labels


def evaluate_rule(rule: str, thresholds: tuple[float, ...], dice: np.ndarray) -> tuple[RuleEvaluation, np.ndarray]:
    """Fit the rule's threshold and decide whether it is used.

    dice: (N, thresholds), Dice of each image with each threshold; the first threshold turns the rule off.
    Returns the evaluation, and the Dice to expect of each image, (N,): cross-fitted if the rule is used, otherwise
    without it.
    """
    images = len(dice)
    folds = np.random.default_rng(0).permutation(images) % min(FOLDS, images)
    cross_fitted = dice[:, 0].copy()
    for fold in np.unique(folds):
        other_folds = dice[folds != fold]
        if len(other_folds):
            cross_fitted[folds == fold] = dice[folds == fold, int(other_folds.mean(0).argmax())]
    gains = cross_fitted - dice[:, 0]
    means = resampled(lambda counts: {"gain": float((gains * counts).sum() / images)}, images, RESAMPLES, seed=0)
    low, high = interval(means["gain"])
    best = int(dice.mean(0).argmax())
    used = best > 0 and low > 0
    evaluation = RuleEvaluation(rule, thresholds[best], float(gains.mean()), (low, high), used)
    return evaluation, cross_fitted if used else dice[:, 0]
