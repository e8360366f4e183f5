"""Weather: the numbers that can be worked out."""

import numpy as np
import pytest

from vocctl.data.corruptions.weather import BRIGHTNESS, brightness, fog, frost, snow

SEVERITIES = (1, 2, 3, 4, 5)


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def test_brightness_raises_the_value_and_keeps_hue_and_saturation():
    # V is 100/255 = .392; with .2 it becomes 151/255, so that each channel grows by 1.51
    image = np.full((4, 5, 3), (100, 50, 20), np.uint8)
    assert brightness(image, 2, generator())[0, 0].tolist() == [151, 76, 30]
    assert brightness(np.full((4, 5, 3), (250, 125, 0), np.uint8), 5, generator())[0, 0].tolist() == [255, 128, 0]


@pytest.mark.parametrize("severity", SEVERITIES)
def test_black_becomes_gray(severity: int) -> None:
    brighter = brightness(np.zeros((4, 5, 3), np.uint8), severity, generator())
    assert np.unique(brighter).tolist() == [round(255 * BRIGHTNESS[severity - 1])]


def test_fog_keeps_the_range_of_the_image_and_removes_contrast(images: list[np.ndarray]) -> None:
    image = images[0]
    foggy = fog(image, 3, generator())
    assert foggy.max() <= image.max()
    # an image (x) becomes (x + 2.5 noise) m / (m + 2.5): differences within a few pixels shrink by m / (m + 2.5)
    fine = [np.diff(array[:, ::2].astype(float), axis=1).std() for array in (image, foggy)]
    largest = image.max() / 255
    assert fine[1] == pytest.approx(fine[0] * largest / (largest + 2.5), rel=0.5)


def test_frost_is_a_weighted_sum():
    black, gray = (np.full((100, 150, 3), level, np.uint8) for level in (0, 50))
    frozen = [frost(image, 5, generator()).astype(int) for image in (black, gray)]
    assert frozen[0].mean() == pytest.approx(255 * 0.75 * 0.64, rel=0.3)  # .75 of a texture of mean .48 to .81
    unclipped = frozen[1] < 255
    assert np.abs((frozen[1] - frozen[0])[unclipped] - 0.6 * 50).max() <= 1


def test_snow_whitens_and_falls_down():
    image = np.full((200, 200, 3), 60, np.uint8)
    whitened = 0.8 * 60 / 255 + 0.2 * (1.5 * 60 / 255 + 0.5)  # severity 1
    snowy = snow(image, 1, generator())
    assert snowy.min() == round(255 * whitened)
    assert (snowy[..., 0] == snowy[..., 1]).all()
    assert np.array_equal(snowy, snowy[::-1, ::-1])  # the flakes are added a second time, turned by 180 degrees
    rough = [np.abs(np.diff(snowy[..., 0].astype(float), axis=axis)).mean() for axis in (0, 1)]
    assert rough[0] < 0.8 * rough[1]  # trails are vertical: values change less along them
