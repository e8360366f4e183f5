"""How often the interval of a difference holds the true difference, in simulated studies with known variances.

    python tests/benchmarks/interval_coverage.py [STUDIES]

A score is a mean over 200 images. Its difference between two arms is the true difference, plus an effect of the seed, of each
image, and of each image under each seed, all normally distributed. Printed: the fraction of the intervals that hold the true
difference, of vocctl's interval and of a percentile bootstrap over the images alone. 95 % is right.
"""

import sys

import numpy as np

from vocctl.metrics.bootstrap import interval
from vocctl.metrics.differences import difference

IMAGES, RESAMPLES, TRUE = 200, 300, 0.02
CASES = {  # standard deviations of the effects: seed, image, image under a seed
    "seeds and images vary alike": (0.01, 0.14, 0.0),
    "seeds vary more": (0.03, 0.14, 0.0),
    "images vary more": (0.003, 0.28, 0.0),
    "images under a seed vary too": (0.01, 0.14, 0.28),
}


def main() -> None:
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print("| what varies | seeds | vocctl | images alone |\n|---|---|---|---|")
    for name, deviations in CASES.items():
        for seeds in (3, 5):
            covered = np.mean(
                [simulate(seeds, *deviations, np.random.default_rng(study)) for study in range(studies)], 0
            )
            print(f"| {name} | {seeds} | {100 * covered[0]:.1f} % | {100 * covered[1]:.1f} % |")


def simulate(
    seeds: int, seed_sd: float, image_sd: float, interaction_sd: float, generator: np.random.Generator
) -> tuple[bool, bool]:
    """Whether the interval of vocctl, and one over the images alone, hold the true difference."""
    effects = (
        generator.normal(0, seed_sd, (seeds, 1))
        + generator.normal(0, image_sd, (1, IMAGES))
        + generator.normal(0, interaction_sd, (seeds, IMAGES))
    )
    counts = generator.multinomial(IMAGES, np.full(IMAGES, 1 / IMAGES), size=RESAMPLES)
    point, resampled = TRUE + effects.mean(1), TRUE + effects @ counts.T / IMAGES
    found = difference(point, resampled)
    low, high = interval(resampled.mean(0))
    return found.low <= TRUE <= found.high, low <= TRUE <= high


if __name__ == "__main__":
    main()
