"""Thresholds that turn a classifier's probabilities into label sets, fitted to maximize the mean F1 per image.

The mean F1 per image is the H02A5a competition's Dice of the labels. A label set is never empty: if no probability reaches
its threshold, the most probable class is predicted. To score images that the thresholds would be fitted on,
`cross_fitted_predictions` predicts each fold of the images with thresholds fitted on the other folds.
"""

import numpy as np

from vocctl.labels import IGNORE
from vocctl.metrics.multilabel import sample_f1

GRID = np.arange(2, 39) / 40  # candidate thresholds: 0.05 to 0.95
PASSES = 3  # of coordinate ascent over the classes
FOLDS = 5


def binarize(probs: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Predict label sets (N, K) bool, none of them empty. probs: (N, K); thresholds: (K,)."""
    predicted = probs >= thresholds
    empty = ~predicted.any(1)
    predicted[empty, probs[empty].argmax(1)] = True
    return predicted


def fit_thresholds(probs: np.ndarray, targets: np.ndarray, kind: str) -> np.ndarray:
    """Fit thresholds (K,) that maximize the mean F1 per image.

    probs: (N, K) in [0, 1]. targets: (N, K), 1, 0 or IGNORE.
    kind: 0.5; global: one threshold for all classes; per-class: coordinate ascent from the global threshold. A class
    without positives keeps the global one.
    """
    num_classes = probs.shape[1]
    if kind == "0.5":
        return np.full(num_classes, 0.5)
    keep, true = targets != IGNORE, targets == 1
    scores = [sample_f1(binarize(probs, np.full(num_classes, t)) & keep, true).mean() for t in GRID]
    best_global = float(GRID[int(np.argmax(scores))])
    thresholds = np.full(num_classes, best_global)
    if kind == "global":
        return thresholds
    # argmax takes the first of equal scores: the candidate nearest to the global threshold
    candidates = GRID[np.argsort(np.abs(GRID - best_global), kind="stable")]
    for _ in range(PASSES):
        for label in np.flatnonzero(true.any(0)):
            by_candidate = _scores_by_candidate(probs, keep, true, thresholds, int(label), candidates)
            thresholds[label] = candidates[int(np.argmax(by_candidate))]
    return thresholds


def _scores_by_candidate(
    probs: np.ndarray, keep: np.ndarray, true: np.ndarray, thresholds: np.ndarray, label: int, candidates: np.ndarray
) -> np.ndarray:
    """Mean F1 per image for each candidate threshold of one class, (C,). The other classes keep their thresholds.

    probs: (N, K); keep, true: (N, K) bool; thresholds: (K,); candidates: (C,).
    """
    rest = (probs >= thresholds) & (np.arange(probs.shape[1]) != label)  # predictions of the other classes
    predicted = probs[:, label, None] >= candidates  # (N, C)
    empty = ~rest.any(1)[:, None] & ~predicted  # the most probable class is predicted
    top = probs.argmax(1)
    rows = np.arange(len(probs))
    counted = predicted & keep[:, label, None]
    sizes = (rest & keep).sum(1)[:, None] + counted + (empty & keep[rows, top][:, None])
    hits = (rest & true).sum(1)[:, None] + (predicted & true[:, label, None]) + (empty & true[rows, top][:, None])
    total = sizes + true.sum(1)[:, None]
    return np.where(total > 0, 2 * hits / np.maximum(total, 1), 1.0).mean(0)


def cross_fitted_predictions(probs: np.ndarray, targets: np.ndarray, kind: str, *, seed: int = 0) -> np.ndarray:
    """Predict the label sets (N, K) bool of each fold with thresholds fitted on the other FOLDS - 1 folds.

    With kind 0.5, or a single image, the thresholds are 0.5. seed: of the random folds.
    """
    if kind == "0.5" or len(probs) < 2:
        return binarize(probs, fit_thresholds(probs, targets, "0.5"))
    folds = np.random.default_rng(seed).permutation(len(probs)) % min(FOLDS, len(probs))
    predicted = np.zeros(probs.shape, bool)
    for fold in np.unique(folds):
        in_fold = folds == fold
        predicted[in_fold] = binarize(probs[in_fold], fit_thresholds(probs[~in_fold], targets[~in_fold], kind))
    return predicted
