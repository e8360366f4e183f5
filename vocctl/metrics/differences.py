"""The difference between two ways of training, with an interval that accounts for seeds and images.

Two things vary: training again with another seed gives other scores, and so do other test images. Both ways are trained
with the same S seeds and scored on the same images. The score difference of seed s on resampled images r is

    d[s, r] = difference + seed effect[s] + image effect[r] + interaction[s, r].

The variance of the mean over the seeds is var(seed) / S + var(image) + var(interaction) / S. The variance between the seeds
estimates var(seed) + var(interaction), with S - 1 degrees of freedom. The bootstrap over the images of the mean over the
seeds estimates var(image) + var(interaction) / S. Their sum counts the interaction twice, so it is subtracted once: it is
the bootstrap variance of a seed's deviation from the mean over the seeds. With three seeds the seeds themselves are not
resampled: a resample of three values has two thirds of their variance. The interval's half-width is the standard error times
a quantile, the mean of Student's t with S - 1 degrees of freedom and of the normal distribution, weighted by the parts of the
variance that the seeds and the rest contribute (Cochran, Biometrics 20, 1964). docs/study.md shows how often it holds the true
difference.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from vocctl.metrics.bootstrap import LEVEL


@dataclass(frozen=True)
class Difference:
    """A mean difference over the seeds. Undefined resamples are left out."""

    value: float
    low: float  # 95 % interval
    high: float
    p: float  # two-sided, of the hypothesis that there is no difference
    num_seeds: int  # 1: the interval accounts for images alone

    @property
    def is_distinguishable(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def difference(point: np.ndarray, resampled: np.ndarray) -> Difference:
    """The mean difference and its 95 % interval.

    point: (S,) differences on all images, one for each seed. resampled: (S, R) on R bootstrap resamples of the images, the
    same for every seed. Equal values give an interval of width 0 and p = 1 if they are 0, else p = 0.
    """
    num_seeds = len(point)
    resampled = resampled[:, np.isfinite(resampled).all(0)]
    mean = float(point.mean())
    of_images = float(resampled.mean(0).var(ddof=1)) if resampled.shape[1] > 1 else 0.0
    if num_seeds == 1:
        variance, of_seeds = of_images, 0.0
    else:
        deviations = resampled - resampled.mean(0)
        interaction = float(deviations.var(1, ddof=1).mean()) * num_seeds / (num_seeds - 1) if deviations.size else 0.0
        of_seeds = float(point.var(ddof=1)) / num_seeds
        variance = max(of_seeds + of_images - interaction / num_seeds, of_seeds, of_images)
    if variance == 0:
        return Difference(mean, mean, mean, 1.0 if mean == 0 else 0.0, num_seeds)
    share, error = of_seeds / variance, variance**0.5
    half_width = _quantile(1 - LEVEL, share, num_seeds) * error
    return Difference(
        mean, mean - half_width, mean + half_width, _two_sided_p(abs(mean) / error, share, num_seeds), num_seeds
    )


def _quantile(p: float, share: float, num_seeds: int) -> float:
    """The number of standard errors that a difference exceeds, on either side, with probability p if the true one is 0.

    share: of the variance, due to the seeds.
    """
    normal = float(stats.norm.isf(p / 2))
    return normal if share == 0 else share * float(stats.t.isf(p / 2, num_seeds - 1)) + (1 - share) * normal


def _two_sided_p(errors: float, share: float, num_seeds: int) -> float:
    """The p of which errors is the quantile; at least 1e-12."""
    smallest = 1e-12
    if errors >= _quantile(smallest, share, num_seeds):
        return smallest
    return float(optimize.brentq(lambda p: _quantile(p, share, num_seeds) - errors, smallest, 1.0))


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for the number of hypotheses (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
