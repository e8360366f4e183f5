"""From probabilities to label sets: thresholds, fitted for the mean F1 over images, which is the competition's Dice.

A set is never empty: where no probability reaches its threshold, the most probable label is taken. Thresholds are never
judged on the images that they were fitted on: `cross_fitted_predictions` decides each image with thresholds that the others gave.
"""

import numpy as np

from vocctl.labels import IGNORE
from vocctl.metrics.multilabel import sample_f1

GRID = np.arange(2, 39) / 40  # .05 to .95
PASSES = 3  # over the classes; each looks at one class's threshold with the others held
FOLDS = 5


def binarize(probs: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(N, K) bool, no row without a label. probs: (N, K); thresholds: (K,)."""
    chosen = probs >= thresholds
    empty = ~chosen.any(1)
    chosen[empty, probs[empty].argmax(1)] = True
    return chosen


def fit_thresholds(probs: np.ndarray, targets: np.ndarray, kind: str) -> np.ndarray:
    """(K,) thresholds with the highest mean F1 over these images. kind: per-class, global, 0.5.

    targets: (N, K), 1, 0 or IGNORE. A class without positives here keeps the global threshold.
    """
    classes = probs.shape[1]
    if kind == "0.5":
        return np.full(classes, 0.5)
    keep, true = targets != IGNORE, targets == 1
    scores = [sample_f1(binarize(probs, np.full(classes, t)) & keep, true).mean() for t in GRID]
    best = float(GRID[int(np.argmax(scores))])
    thresholds = np.full(classes, best)
    if kind == "global":
        return thresholds
    nearest_first = GRID[np.argsort(np.abs(GRID - best), kind="stable")]  # of equals, the one nearest to the global
    for _ in range(PASSES):
        for place in np.flatnonzero(true.any(0)):
            reached = _scores_of_one_class(probs, keep, true, thresholds, int(place), nearest_first)
            thresholds[place] = nearest_first[int(np.argmax(reached))]
    return thresholds


def _scores_of_one_class(
    probs: np.ndarray, keep: np.ndarray, true: np.ndarray, thresholds: np.ndarray, place: int, candidates: np.ndarray
) -> np.ndarray:
    """Mean F1 over images for each candidate threshold of the class at place, (candidates,), the others as they are."""
    others = (probs >= thresholds) & (np.arange(probs.shape[1]) != place)
    picked = probs[:, place, None] >= candidates  # (N, candidates)
    empty = ~others.any(1)[:, None] & ~picked
    top = probs.argmax(1)
    rows = np.arange(len(probs))
    counted = picked & keep[:, place, None]
    sizes = (others & keep).sum(1)[:, None] + counted + (empty & keep[rows, top][:, None])
    hits = (others & true).sum(1)[:, None] + (picked & true[:, place, None]) + (empty & true[rows, top][:, None])
    total = sizes + true.sum(1)[:, None]
    return np.where(total > 0, 2 * hits / np.maximum(total, 1), 1.0).mean(0)


def cross_fitted_predictions(probs: np.ndarray, targets: np.ndarray, kind: str, *, seed: int = 0) -> np.ndarray:
    """(N, K) bool: each image decided with thresholds fitted on the four fifths of the images that it is not in."""
    if kind == "0.5" or len(probs) < 2:
        return binarize(probs, fit_thresholds(probs, targets, "0.5"))
    folds = np.random.default_rng(seed).permutation(len(probs)) % min(FOLDS, len(probs))
    decided = np.zeros(probs.shape, bool)
    for fold in np.unique(folds):
        mine = folds == fold
        decided[mine] = binarize(probs[mine], fit_thresholds(probs[~mine], targets[~mine], kind))
    return decided
