"""Elastic transform: the smoothing equals scipy's filter, and displacements have the size that the parameters state."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from vocctl.data.corruptions.elastic import ELASTIC, smooth, source_positions


def test_smoothing_is_a_gaussian_filter_with_reflection():
    values = np.random.default_rng(0).uniform(-1, 1, (40, 60))
    for std in (2.0, 9.0):
        expected = gaussian_filter(values, std, mode="reflect", truncate=6)
        assert np.abs(smooth(values, std) - expected).max() < 1e-6


def displacements(size: tuple[int, int], severity: int) -> np.ndarray:
    """(40, H, W): horizontal displacement of each pixel, for 40 seeds."""
    columns = np.arange(size[1])
    return np.array([source_positions(*size, severity, np.random.default_rng(seed))[0] - columns for seed in range(40)])


@pytest.mark.parametrize("size", [(224, 224), (448, 448)])
def test_local_displacements_have_their_standard_deviation(size: tuple[int, int]) -> None:
    # smoothing uniform noise (std 1 / sqrt 3) leaves 1 / (2 sqrt(pi) std) of it; the affine part changes slowly
    strength, std, _ = ELASTIC[4]
    moved = displacements(size, 5)
    local = moved - np.array([smooth(array, 30 * size[0] / 224) for array in moved])
    expected = size[0] / 224 * strength / (2 * np.sqrt(3 * np.pi) * std)
    assert local.std() == pytest.approx(expected, rel=0.1)


def test_severity_2_moves_by_a_large_part_of_the_image():
    typical = {severity: np.abs(displacements((224, 224), severity)).mean() for severity in (1, 2, 3, 4, 5)}
    assert typical[2] > typical[1] > 8
    assert typical[3] < typical[4] < typical[5] < 5
