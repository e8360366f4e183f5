"""Scores of a classifier besides average precision: precision, recall and F1 (per class, micro, macro, per image),
accuracy, calibration. To add one, see metrics/table.py.

A pair of image and class whose target is IGNORE counts in no score: it is left out of the class's counts and of the
image's label sets. Undefined values are nan and left out of means; each function names its empty cases.
"""

from dataclasses import dataclass

import numpy as np

from vocctl.labels import IGNORE

NUM_BINS = 15  # of equal width, for calibration


@dataclass(frozen=True)
class MultilabelScores:
    """precision, recall, f1: (K,), one value per class; all other scores are one fraction in [0, 1]."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    micro_precision: float  # from the counts of all classes together
    micro_recall: float
    micro_f1: float
    macro_f1: float  # mean of f1 over the classes with positives
    sample_f1: float  # mean over the images, see the function sample_f1
    exact_match: float  # fraction of the images whose labels are all correct
    hamming_accuracy: float  # fraction of the pairs of image and class that are correct
    calibration_error: float  # of the probabilities, see expected_calibration_error


def multilabel_scores(probs: np.ndarray, predicted_labels: np.ndarray, targets: np.ndarray) -> MultilabelScores:
    """Score probabilities and label sets.

    probs: (N, K) in [0, 1], K of 2 or more. predicted_labels: (N, K) bool. targets: (N, K), 1, 0 or IGNORE.
    Source: scikit-learn's precision_recall_fscore_support.
    Empty cases: recall and F1 of a class without positives are nan. The precision of a class that is never predicted is
    0 if it has positives, nan if not. Micro precision without predictions, micro
    recall without positives, and micro F1 without both are nan.
    """
    from sklearn.metrics import precision_recall_fscore_support

    labeled = targets != IGNORE
    predicted, true = predicted_labels & labeled, targets == 1  # an ignored pair is a true negative, which no F1 counts
    precision, recall, f1, positives = precision_recall_fscore_support(true, predicted, zero_division=np.nan)
    has_positives = positives > 0
    f1 = np.where(has_positives, f1, np.nan)
    micro = precision_recall_fscore_support(true, predicted, average="micro", zero_division=np.nan)
    correct = (predicted == true) | ~labeled
    return MultilabelScores(
        precision=np.where(has_positives, np.nan_to_num(precision), precision),
        recall=recall,
        f1=f1,
        micro_precision=float(micro[0]),
        micro_recall=float(micro[1]),
        micro_f1=float(micro[2]),
        macro_f1=float(np.nanmean(f1)) if has_positives.any() else float("nan"),
        sample_f1=float(sample_f1(predicted, true).mean()),
        exact_match=float(correct.all(1).mean()),
        hamming_accuracy=float(correct[labeled].mean()) if labeled.any() else float("nan"),
        calibration_error=expected_calibration_error(probs, targets),
    )


def sample_f1(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """2 |P and T| / (|P| + |T|) per image, (N,): the H02A5a competition's Dice of the labels.

    predicted, true: (N, K) bool. Empty case: 1 if both label sets are empty.
    scikit-learn has only the mean over the images, not the values.
    """
    sizes = predicted.sum(1) + true.sum(1)
    return np.where(sizes > 0, 2 * (predicted & true).sum(1) / np.maximum(sizes, 1), 1.0)


def expected_calibration_error(probs: np.ndarray, targets: np.ndarray) -> float:
    """Mean over the pairs of image and class of |fraction of true pairs - mean probability| in the pair's bin.

    Source: Guo et al., arXiv 1706.04599, with each pair as one binary prediction.
    The bins have equal width over [0, 1].
    probs: (N, K) in [0, 1]. targets: (N, K), 1, 0 or IGNORE. Empty case: 0 without a labeled pair.
    """
    # scikit-learn's calibration_curve returns fractions and means without the bins' counts
    labeled = targets != IGNORE
    probs, true = probs[labeled], (targets[labeled] == 1).astype(float)
    bins = np.minimum((probs * NUM_BINS).astype(int), NUM_BINS - 1)
    gaps = np.bincount(bins, weights=true - probs, minlength=NUM_BINS)  # per bin: count * (fraction true - mean prob)
    return float(np.abs(gaps).sum() / max(len(probs), 1))


def multilabel_confusion(predicted_labels: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Fraction of the images of the row's class on which the column's class is predicted by mistake, (K, K).

    The diagonal is the recall. Elsewhere only images without the column's class count: a second class that is correctly
    predicted is not a confusion. An image may count in several columns or in none, so that rows need not sum to 1.
    predicted_labels: (N, K) bool. targets: (N, K), 1, 0 or IGNORE, which leaves the image out of that column and row.
    Empty case: nan where no image is left.
    """
    true, absent = (targets == 1).astype(int), (targets == 0).astype(int)
    predicted = predicted_labels.astype(int)
    counts, images = true.T @ (predicted * absent), true.T @ absent
    np.fill_diagonal(counts, (true * predicted).sum(0))
    np.fill_diagonal(images, true.sum(0))
    return np.where(images > 0, counts / np.maximum(images, 1), np.nan)


def cooccurrence(targets: np.ndarray) -> np.ndarray:
    """Fraction of the images of the row's class that show the column's class too, (K, K).

    targets: (N, K), 1, 0 or IGNORE. Empty case: nan in the row of a class without images.
    """
    true = (targets == 1).astype(int)
    images = true.sum(0)[:, None]
    return np.where(images > 0, (true.T @ true) / np.maximum(images, 1), np.nan)
