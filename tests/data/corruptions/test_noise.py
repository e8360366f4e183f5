"""Noise has the distribution that its parameter states."""

import numpy as np
import pytest

from vocctl.data.corruptions.noise import gaussian_noise, impulse_noise, shot_noise

GRAY = np.full((200, 200, 3), 128, np.uint8)  # 0.502
SEVERITIES = (1, 2, 3, 4, 5)


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(("severity", "std"), [(1, 0.08), (2, 0.12)])
def test_gaussian_noise_has_its_standard_deviation(severity: int, std: float) -> None:
    noise = (gaussian_noise(GRAY, severity, generator()).astype(float) - GRAY) / 255
    assert noise.std() == pytest.approx(std, rel=0.01)
    assert noise.mean() == pytest.approx(0, abs=0.001)
    channels = noise.reshape(-1, 3)
    assert np.abs(np.corrcoef(channels.T) - np.eye(3)).max() < 0.02  # of each channel by itself


@pytest.mark.parametrize(("severity", "photons"), [(1, 60), (3, 12)])
def test_shot_noise_is_a_count_of_photons(severity: int, photons: int) -> None:
    noisy = shot_noise(GRAY, severity, generator()).astype(float) / 255
    assert noisy.mean() == pytest.approx(128 / 255, abs=0.003)
    assert noisy.var() == pytest.approx(128 / 255 / photons, rel=0.05)  # Poisson: variance n p / n^2
    counts = np.unique(noisy) * photons
    assert np.abs(counts - counts.round()).max() < photons / 255  # levels are rounded counts
    assert not shot_noise(np.zeros_like(GRAY), severity, generator()).any()


def test_impulse_noise_sets_a_fraction_to_black_and_white():
    for severity, fraction in zip(SEVERITIES, (0.03, 0.06, 0.09, 0.17, 0.27), strict=True):
        noisy = impulse_noise(GRAY, severity, generator())
        assert set(np.unique(noisy)) == {0, 128, 255}
        assert (noisy == 0).mean() == pytest.approx(fraction / 2, rel=0.06)
        assert (noisy == 255).mean() == pytest.approx(fraction / 2, rel=0.06)
