"""What a classifier and a segmenter know of each other, and whether using it helps.

Ruling out: a class to which the classifier gives less than some probability is not painted. Proof: a class that the mask
paints on at least some share of the image becomes a label. Each is used where images held out from both models say that it
helps: its value is chosen on four fifths of them and judged on the fifth, and the 95 % interval of the gain lies above 0.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vocctl.inference.thresholds import FOLDS
from vocctl.labels import CLASSES
from vocctl.metrics.bootstrap import interval, resampled

SUPPRESS_THRESHOLDS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)  # probability below which a class is not painted; 0: off
AREA_THRESHOLDS = (1.01, 0.2, 0.1, 0.05, 0.02, 0.01)  # share of the image from which a class is a label; above 1: off
RESAMPLES = 1000


@dataclass(frozen=True)
class RuleEvaluation:
    """One rule on the held-out images."""

    rule: str  # rule-out, proof
    value: float  # the best on all of them; the first candidate, which is off, where none is better
    gain: float  # mean Dice with it less that without it, each image judged by a value that the others chose
    low: float  # 95 % interval of the gain
    high: float
    used: bool


def allowed_classes(probs: np.ndarray, chosen: np.ndarray, least: float) -> np.ndarray:
    """(20,) bool: what may be painted. probs, chosen: (20,) of one image; what was chosen is never ruled out."""
    allowed: np.ndarray = (probs >= least) | chosen
    return allowed


def argmax_labels(probs: Tensor, allowed: np.ndarray | None = None) -> np.ndarray:
    """(H, W) uint8, never all background. probs: (21, H, W). allowed: (20,) bool, the classes that may be painted.

    Where no class wins a pixel, the one that is likeliest over the image takes those on which it is at least half as sure
    as on its surest pixel.
    """
    if allowed is not None and not allowed.all():
        probs = probs.clone()
        probs[1:][torch.from_numpy(~allowed)] = 0
    labels = probs.argmax(dim=0)
    if not labels.any():
        best = int(probs[1:].mean(dim=(1, 2)).argmax())
        sure = probs[1 + best]
        labels = (sure >= sure.max() / 2) * (best + 1)
    return labels.to(torch.uint8).numpy()


def class_fractions(labels: np.ndarray) -> np.ndarray:
    """(20,): each class's share of the pixels. labels: (H, W)."""
    return np.bincount(labels.ravel(), minlength=len(CLASSES) + 1)[1:] / labels.size


def add_mask_labels(chosen: np.ndarray, shares: np.ndarray, least: float) -> np.ndarray:
    """chosen with the labels that the mask proves, (..., 20) bool. shares: as class_shares gives them."""
    labels: np.ndarray = chosen | (shares >= least)
    return labels


def evaluate_rule(rule: str, candidates: tuple[float, ...], scores: np.ndarray) -> tuple[RuleEvaluation, np.ndarray]:
    """The rule's worth, and each image's score as it will be used: cross-fitted, or without the rule, (N,).

    scores: (N, candidates), each image's Dice with each value; the first one is off.
    """
    images = len(scores)
    folds = np.random.default_rng(0).permutation(images) % min(FOLDS, images)
    fitted = scores[:, 0].copy()
    for fold in np.unique(folds):
        others = scores[folds != fold]
        if len(others):
            fitted[folds == fold] = scores[folds == fold, int(others.mean(0).argmax())]
    gains = fitted - scores[:, 0]
    drawn = resampled(lambda counts: {"gain": float((gains * counts).sum() / images)}, images, RESAMPLES, seed=0)
    low, high = interval(drawn["gain"])
    best = int(scores.mean(0).argmax())
    used = best > 0 and low > 0
    measured = RuleEvaluation(rule, candidates[best], float(gains.mean()), low, high, used)
    return measured, fitted if used else scores[:, 0]
