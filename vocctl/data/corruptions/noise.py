"""Noise: independent for each channel of each pixel of the image at its own size, so its grain is not scaled."""

import numpy as np

from vocctl.data.corruptions.pixels import to_levels, to_unit

GAUSSIAN_STD = (0.08, 0.12, 0.18, 0.26, 0.38)  # of pixels in [0, 1]
SHOT_PHOTONS = (60, 25, 12, 5, 3)  # expected at a pixel of 1
IMPULSE_FRACTION = (0.03, 0.06, 0.09, 0.17, 0.27)  # of all values: half of them become 0, half 1


def gaussian_noise(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Add normally distributed noise."""
    noise = generator.standard_normal(image.shape, dtype=np.float32)
    return to_levels(to_unit(image) + GAUSSIAN_STD[severity - 1] * noise)


def shot_noise(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Replace each value by a Poisson-distributed count of photons, divided by the expected count at a value of 1."""
    photons = SHOT_PHOTONS[severity - 1]
    return to_levels(generator.poisson(to_unit(image) * photons) / photons)


def impulse_noise(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Set a fraction of the values to 0 or 1 (salt and pepper, for each channel by itself)."""
    fraction = IMPULSE_FRACTION[severity - 1]
    uniform = generator.random(image.shape, dtype=np.float32)
    noisy = np.where(uniform < fraction / 2, np.uint8(0), image)
    return np.where(uniform >= 1 - fraction / 2, np.uint8(255), noisy)
