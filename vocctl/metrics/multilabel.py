"""Scores of multi-label decisions: precision, recall and F1 per class, micro, macro and per sample; matches; calibration.

A pair of image and class whose target is IGNORE counts in none of them: it is taken out of its class's counts, and out of
its image's two sets. Undefined is nan: the recall and F1 of a class without positives (left out of the macro means), the
precision of a class that was never predicted though it occurs is 0.
"""

from dataclasses import dataclass

import numpy as np

from vocctl.labels import IGNORE

BINS = 15  # of equal width, for calibration


@dataclass(frozen=True)
class DecisionScores:
    """precision, recall, f1: (K,), a class each. All others are shares in [0, 1] of one kind each."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    micro_precision: float  # from the counts of all classes together
    micro_recall: float
    micro_f1: float
    macro_f1: float  # mean of f1 over the classes with positives
    sample_f1: (
        float  # mean over images of 2 |X n Y| / (|X| + |Y|), the competition's classification Dice; 1 if both are empty
    )
    exact_match: float  # images whose every label is right
    hamming_accuracy: float  # pairs of image and class that are right


def decision_scores(decided: np.ndarray, targets: np.ndarray) -> DecisionScores:
    """decided: (N, K) bool. targets: (N, K), 1, 0 or IGNORE."""
    keep = targets != IGNORE
    chosen, true = decided & keep, (targets == 1)
    hits, predicted, positives = (chosen & true).sum(0), chosen.sum(0), true.sum(0)
    occurs = positives > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(occurs, hits / positives, np.nan)
        precision = np.where(predicted > 0, hits / predicted, np.where(occurs, 0.0, np.nan))
        f1 = np.where(occurs, 2 * hits / (predicted + positives), np.nan)
    right = (chosen == true) | ~keep
    return DecisionScores(
        precision=precision,
        recall=recall,
        f1=f1,
        micro_precision=_share(hits.sum(), predicted.sum()),
        micro_recall=_share(hits.sum(), positives.sum()),
        micro_f1=_share(2 * hits.sum(), predicted.sum() + positives.sum()),
        macro_f1=float(np.nanmean(f1)) if occurs.any() else float("nan"),
        sample_f1=float(sample_f1(chosen, true).mean()),
        exact_match=float(right.all(1).mean()),
        hamming_accuracy=_share((right & keep).sum(), keep.sum()),
    )


def sample_f1(chosen: np.ndarray, true: np.ndarray) -> np.ndarray:
    """2 |X n Y| / (|X| + |Y|) of each image, (N,); 1 where both sets are empty. chosen, true: (N, K) bool."""
    sizes = chosen.sum(1) + true.sum(1)
    return np.where(sizes > 0, 2 * (chosen & true).sum(1) / np.maximum(sizes, 1), 1.0)


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else float("nan")


def expected_calibration_error(probs: np.ndarray, targets: np.ndarray) -> float:
    """Mean over pairs of image and class of |share that is true - mean probability| of the pair's bin.

    Each pair is one binary prediction; bins have equal width over [0, 1]. Source: Guo et al., arXiv 1706.04599, applied per
    label. probs: (N, K) in [0, 1]; targets: (N, K), 1, 0 or IGNORE.
    """
    keep = targets != IGNORE
    probs, true = probs[keep], (targets[keep] == 1).astype(float)
    place = np.minimum((probs * BINS).astype(int), BINS - 1)
    gap = np.bincount(place, weights=true - probs, minlength=BINS)  # per bin: count * (share - mean)
    return float(np.abs(gap).sum() / max(len(probs), 1))


def multilabel_confusion(decided: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(K, K) shares, a multi-label confusion: row a class that is there, column a class that was decided on those images.

    The diagonal is the class's recall. Off it, a class counts only on images that it is not on: a second class that is
    rightly found is no confusion. A image may count in several columns or in none, so a row need not sum to 1. Pairs whose
    target is IGNORE are left out, of the images counted too; nan where no image is left. decided: (N, K) bool.
    """
    true, absent = (targets == 1).astype(int), (targets == 0).astype(int)
    chosen = decided.astype(int)
    counts, images = true.T @ (chosen * absent), true.T @ absent
    np.fill_diagonal(counts, (true * chosen).sum(0))
    np.fill_diagonal(images, true.sum(0))
    return np.where(images > 0, counts / np.maximum(images, 1), np.nan)


def cooccurrence(targets: np.ndarray) -> np.ndarray:
    """(K, K) shares: of the images that hold the row's class, those that hold the column's too; nan for a class on none."""
    true = (targets == 1).astype(int)
    images = true.sum(0)[:, None]
    return np.where(images > 0, (true.T @ true) / np.maximum(images, 1), np.nan)
