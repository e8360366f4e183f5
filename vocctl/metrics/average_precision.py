"""Average precision (AP) of each class by three definitions, and its mean over the classes (mAP).

11_point: VOC 2007 to 2009. Everingham et al., "The PASCAL VOC Challenge", IJCV 2010, section 4.2.
all_points: VOC 2010 and later. The development kit's VOCap: area under the interpolated precision-recall curve.
sklearn: scikit-learn's average_precision_score, without interpolation.
The three differ on the same ranking, so each is reported under its own name.

An image whose target is IGNORE (it shows only difficult objects of the class) is left out of that class. Images of
equal score are one point of the precision-recall curve, in whatever order they come. Empty case: the AP of a class
without a positive image is nan, and the mean leaves it out.
"""

from collections.abc import Callable

import numpy as np

from vocctl.labels import IGNORE


def precision_recall_counts(
    scores: np.ndarray, targets: np.ndarray, image_counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """At each distinct score, highest first, count the images with that score or more: true positives and all, (M,) each.

    scores: (N,). targets: (N,), 1 or 0. image_counts: (N,), how often each image counts, as drawn by a bootstrap.
    """
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    true_positives = np.cumsum((targets[order] == 1) * image_counts[order])[last_of_tie]
    return true_positives, np.cumsum(image_counts[order])[last_of_tie]


def ap_11_point(true_positives: np.ndarray, predicted: np.ndarray) -> float:
    """Mean over recall r = 0, 0.1, ..., 1 of the highest precision at recall r or more."""
    precision = true_positives / np.maximum(predicted, 1)
    interpolated = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    # first point with recall r or more; compared as integers, since 0.1 * 3 > 0.3 in floating point
    indices = np.searchsorted(true_positives * 10, np.arange(11) * true_positives[-1])
    return float(interpolated[indices].mean())


def ap_all_points(true_positives: np.ndarray, predicted: np.ndarray) -> float:
    """Area under the curve that has at each recall the highest precision at that recall or more."""
    interpolated = np.maximum.accumulate((true_positives / np.maximum(predicted, 1))[::-1])[::-1]
    return float((np.diff(true_positives, prepend=0) * interpolated).sum() / true_positives[-1])


def ap_without_interpolation(true_positives: np.ndarray, predicted: np.ndarray) -> float:
    """Sum over the points of the precision times the increase of the recall: scikit-learn's definition.

    For resampled images. average_precision_score takes 14 times as long for 750 images (one core; it computes one
    definition, class_aps three), and a bootstrap calls it thousands of times.
    """
    recall_steps = np.diff(true_positives, prepend=0)
    return float((recall_steps * true_positives / np.maximum(predicted, 1)).sum() / true_positives[-1])


DEFINITIONS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "11_point": ap_11_point,
    "all_points": ap_all_points,
    "sklearn": ap_without_interpolation,
}


def class_aps(probs: np.ndarray, targets: np.ndarray, image_counts: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """AP of each class by each definition, (K,) each; nan for a class without a positive image.

    probs: (N, K). targets: (N, K), 1, 0 or IGNORE. image_counts: (N,) int, how often each image counts; None: once.
    """
    counts = np.ones(len(probs), np.int64) if image_counts is None else image_counts
    aps = {name: np.full(probs.shape[1], np.nan) for name in DEFINITIONS}
    for label in range(probs.shape[1]):
        counted = (targets[:, label] != IGNORE) & (counts > 0)
        if not (targets[counted, label] == 1).any():
            continue
        points = precision_recall_counts(probs[counted, label], targets[counted, label], counts[counted])
        for name, definition in DEFINITIONS.items():
            aps[name][label] = definition(*points)
        # scikit-learn refuses scores that are not finite, which a diverged model predicts: the form above ranks them last
        if image_counts is None and np.isfinite(probs[:, label]).all():
            aps["sklearn"][label] = _sklearn_ap(probs[:, label], targets[:, label])
    return aps


def _sklearn_ap(scores: np.ndarray, targets: np.ndarray) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(targets == 1, scores, sample_weight=targets != IGNORE))


def mean_defined(values: np.ndarray) -> float:
    """Mean over the classes with a defined value; nan if there is none."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
