"""Average precision of one class by three definitions, and its mean over the classes.

Sources: 11-point, VOC 2007 to 2009: Everingham et al., "The PASCAL VOC Challenge", IJCV 2010, section 4.2. All points,
VOC 2010 on: the development kit's VOCap, area under the precision envelope. sklearn's: its average_precision_score, which
interpolates nothing. The three differ on the same ranking, so each is reported under its own name.

An image whose target is IGNORE (only difficult objects of the class) is left out of that class. Images of equal score are
one point of the curve, whatever their order. A class without positives is undefined: nan, and left out of the mean.
"""

from collections.abc import Callable

import numpy as np

from vocctl.labels import IGNORE


def ranking(scores: np.ndarray, targets: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(hits, taken) at each distinct score, highest first, both (M,): positives and images down to that score.

    scores: (N,), higher is surer. targets: (N,), 1 or 0. counts: (N,), how often each image counts (a bootstrap's draw).
    """
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum((targets[order] == 1) * counts[order])[last_of_tie]
    return hits, np.cumsum(counts[order])[last_of_tie]


def ap_11_point(hits: np.ndarray, taken: np.ndarray) -> float:
    """Mean over recall 0, .1, ..., 1 of the best precision at that recall or more."""
    precision = hits / np.maximum(taken, 1)
    best_from_here = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    # in integers, so that no recall is a hair below its tenth
    first_reached = np.searchsorted(hits * 10, np.arange(11) * hits[-1])
    return float(best_from_here[first_reached].mean())


def ap_all_points(hits: np.ndarray, taken: np.ndarray) -> float:
    """Area under the precision made monotone: at each recall, the best precision at that recall or more."""
    envelope = np.maximum.accumulate((hits / np.maximum(taken, 1))[::-1])[::-1]
    return float((np.diff(hits, prepend=0) * envelope).sum() / hits[-1])


def ap_sklearn(hits: np.ndarray, taken: np.ndarray) -> float:
    """Precision at each score, weighted by the recall gained there."""
    return float((np.diff(hits, prepend=0) * hits / np.maximum(taken, 1)).sum() / hits[-1])


DEFINITIONS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "11_point": ap_11_point,
    "all_points": ap_all_points,
    "sklearn": ap_sklearn,
}


def class_aps(probs: np.ndarray, targets: np.ndarray, counts: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """AP of each class by each definition, (K,) each, nan where the class has no positive.

    probs: (N, K). targets: (N, K), 1, 0 or IGNORE. counts: (N,) int, how often each image counts; once if left out.
    """
    counts = np.ones(len(probs), np.int64) if counts is None else counts
    aps = {name: np.full(probs.shape[1], np.nan) for name in DEFINITIONS}
    for place in range(probs.shape[1]):
        keep = (targets[:, place] != IGNORE) & (counts > 0)
        if (targets[keep, place] == 1).any():
            hits, taken = ranking(probs[keep, place], targets[keep, place], counts[keep])
            for name, definition in DEFINITIONS.items():
                aps[name][place] = definition(hits, taken)
    return aps


def mean_defined(values: np.ndarray) -> float:
    """Mean over the classes that are defined; nan where none is."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
