"""Percentile bootstrap over images: how much a score would vary on other test images of the same kind.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993. A resample draws as many images as there are,
with replacement. It is represented by how often it contains each image. Two runs are compared on the same resamples.
"""

from collections.abc import Callable, Iterator

import numpy as np

LEVEL = 0.95  # of the confidence interval
Scores = dict[str, float]


def draws(images: int, resamples: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield for each resample how often it contains each image, (images,) int."""
    for _ in range(resamples):
        yield np.bincount(generator.integers(images, size=images), minlength=images)


def resampled(score: Callable[[np.ndarray], Scores], images: int, resamples: int, seed: int) -> dict[str, np.ndarray]:
    """Compute the scores of each resample; return (resamples,) values by name.

    score: how often each image counts, (images,), to scores by name.
    """
    rows = [score(image_counts) for image_counts in draws(images, resamples, np.random.default_rng(seed))]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % confidence interval: the 2.5th and the 97.5th percentile of the resampled scores that are not nan."""
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)


def two_sided_p(differences: np.ndarray) -> float:
    """Twice the fraction of resampled differences on the other side of 0, at most 1.

    Empty case: if no difference lies there, half a resample is assumed, so that the value is never 0.
    """
    count = len(differences)
    other_side = min((differences <= 0).sum(), (differences >= 0).sum())
    return float(min(1.0, 2 * max(other_side, 0.5) / count))
