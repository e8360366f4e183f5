"""Percentile bootstrap over images: how far a score would move on other images of the same kind.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993. Images are drawn with replacement; a draw is given
as how often each image counts. Two runs are compared on the same draws.
"""

from collections.abc import Callable, Iterator

import numpy as np

LEVEL = 0.95
Scores = dict[str, float]


def draws(images: int, resamples: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """How often each image counts, (images,) int, for each resample."""
    for _ in range(resamples):
        yield np.bincount(generator.integers(images, size=images), minlength=images)


def resampled(score: Callable[[np.ndarray], Scores], images: int, resamples: int, seed: int) -> dict[str, np.ndarray]:
    """Each score's values over the resamples, (resamples,). score: counts (images,) to scores by name."""
    rows = [score(counts) for counts in draws(images, resamples, np.random.default_rng(seed))]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def interval(values: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of the values; nan where a resample left the score undefined is left out."""
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)


def two_sided_p(differences: np.ndarray) -> float:
    """Share of resamples on the other side of 0, doubled, at most 1; half a resample where there is none."""
    count = len(differences)
    other_side = min((differences <= 0).sum(), (differences >= 0).sum())
    return float(min(1.0, 2 * max(other_side, 0.5) / count))
