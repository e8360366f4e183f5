"""Fractal noise fills its range and decays with the frequency; frost has the brightness of frost."""

import numpy as np
import pytest

from vocctl.data.corruptions.textures import FROST_COLOR, crystal, crystals, fractal_noise, frost


def noise(decay: float, period: float = 32.0) -> np.ndarray:
    return fractal_noise(90, 120, period=period, decay=decay, generator=np.random.default_rng(0))


def test_noise_fills_the_range_and_gets_rougher_with_less_decay():
    values = {decay: noise(decay) for decay in (4.0, 2.0, 1.2)}
    assert all((array.min(), array.max(), array.shape) == (0, 1, (90, 120)) for array in values.values())
    rough = [np.abs(np.diff(array, axis=1)).mean() for array in values.values()]
    assert rough == sorted(rough)
    assert rough[2] > 3 * rough[0]


def test_noise_of_a_longer_period_is_smoother():
    def similarity(array: np.ndarray) -> float:  # of points 20 pixels apart
        return float(np.corrcoef(array[:, :-20].ravel(), array[:, 20:].ravel())[0, 1])

    assert similarity(noise(4, period=80)) > 0.6 > 0.3 > similarity(noise(4, period=10))


def test_one_pixel_has_no_noise():
    assert fractal_noise(1, 1, period=0.5, decay=2, generator=np.random.default_rng(0)).tolist() == [[0]]


def test_frost_is_bluish_white_and_differs_between_textures():
    textures = [frost(224, 300, 1.0, np.random.default_rng(seed)) for seed in range(5)]
    means = np.array([texture.mean() for texture in textures])
    assert means.min() > 0.4
    assert means.max() < 0.85
    assert means.std() > 0.03
    for texture in textures:
        assert texture.shape == (224, 300, 3)
        assert 0 <= texture.min() < texture.max() <= 1
        colors = texture.mean((0, 1)) / texture.mean()
        assert colors == pytest.approx(np.array(FROST_COLOR), rel=0.05)


def test_a_crystal_has_branches_on_both_sides_of_its_stem():
    segments = crystal(200, 200, np.random.default_rng(0))
    stem, branches = segments[0], segments[1:]
    direction = (stem[1] - stem[0]) / np.linalg.norm(stem[1] - stem[0])
    across = np.array([-direction[1], direction[0]])
    sides = np.sign((branches[:, 1] - branches[:, 0]) @ across)
    assert (sides > 0).sum() == (sides < 0).sum() > 3
    lengths = np.linalg.norm(branches[:, 1] - branches[:, 0], axis=1)
    assert lengths[0] > lengths[len(branches) // 2 - 1]  # shorter toward the tip
    drawn = crystals(100, 100, np.random.default_rng(0))
    assert 0.1 < (drawn > 0.1).mean() < 0.9
