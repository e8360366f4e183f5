"""Blur of a single bright pixel is the kernel; the center of mass stays, and lengths grow with the image."""

import numpy as np
import pytest

from vocctl.data.corruptions.blur import (
    defocus_blur,
    disk_kernel,
    exchange_neighbors,
    glass_blur,
    motion_blur,
    motion_kernel,
    zoom_blur,
)

SEVERITIES = (1, 2, 3, 4, 5)


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def square(side: int, image_side: int) -> np.ndarray:
    """A white square in the center of a black square image."""
    image = np.zeros((image_side, image_side, 3), np.uint8)
    start = (image_side - side) // 2
    image[start : start + side, start : start + side] = 255
    return image


def center_of_mass(image: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(image.shape[:2])
    weights = image[..., 0].astype(float)
    return np.array([(rows * weights).sum(), (columns * weights).sum()]) / weights.sum()


def test_a_disk_covers_its_area_evenly():
    kernel = disk_kernel(10, 0.1)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert kernel.max() == pytest.approx(1 / (np.pi * 100), rel=0.02)
    assert kernel[kernel.shape[0] // 2, kernel.shape[0] // 2 + 9] == pytest.approx(kernel.max())
    assert kernel[kernel.shape[0] // 2, kernel.shape[0] // 2 + 11] < 1e-6
    assert disk_kernel(0.3, 0.02).max() == pytest.approx(1)  # a radius below half a pixel changes nothing


def test_defocus_doubles_its_radius_on_an_image_of_twice_the_size():
    widths = []
    for side in (224, 448):
        blurred = defocus_blur(square(side // 4, side), 5, generator())[side // 2, :, 0]
        widths.append(int(((blurred > 5) & (blurred < 250)).sum()))  # both edges of the square
    assert widths[1] == pytest.approx(2 * widths[0], abs=3)


def test_a_motion_trail_has_its_length_and_stays_in_place():
    kernel = motion_kernel(10, 1000, 0)  # nearly constant weights
    assert kernel.sum() == pytest.approx(1)
    assert (kernel > 0.01).sum() == 21
    for angle in (-45, 0, 30, 90):
        kernel = motion_kernel(15, 8, angle)
        offsets = np.indices(kernel.shape) - kernel.shape[0] // 2
        assert np.abs((offsets * kernel).sum((1, 2))).max() < 1e-4
    steep = motion_kernel(15, 8, 90)
    assert steep.max(axis=0).argmax() == steep.shape[1] // 2  # straight down


@pytest.mark.parametrize("blur", [motion_blur, defocus_blur, glass_blur, zoom_blur])
def test_objects_in_the_center_stay_there(blur) -> None:
    image = square(60, 224)
    for severity in SEVERITIES:
        moved = center_of_mass(blur(image, severity, generator())) - center_of_mass(image)
        assert np.abs(moved).max() < 0.5


def test_every_pixel_is_exchanged_within_its_neighborhood():
    order = exchange_neighbors(30, 40, 2, 1, generator())
    assert np.array_equal(np.sort(order), np.arange(1200))  # a permutation: no pixel is lost
    rows, columns = np.divmod(order, 40)
    moved = np.abs(rows - np.arange(1200) // 40), np.abs(columns - np.arange(1200) % 40)
    assert (order != np.arange(1200)).mean() > 0.9
    assert 2 < max(moved[0].max(), moved[1].max()) < 12  # some pixels are exchanged again and again
    one_by_one = np.sqrt(np.mean(moved[0] ** 2))
    assert one_by_one == pytest.approx(1.85, rel=0.1)  # of the published loop over pixels, measured: 1.87 and 1.90


def test_zoom_blur_is_the_mean_of_enlarged_copies():
    # brightness grows linearly from the center, so that an image enlarged by f shows 1 / f of it
    distance = np.abs(np.arange(201) - 100.0)
    image = np.repeat(np.tile(distance, (201, 1)).astype(np.uint8)[..., None], 3, axis=2)
    factors = np.array([1, *(1 + 0.03 * np.arange(11))])
    expected = distance * (1 / factors).mean()
    assert np.abs(zoom_blur(image, 5, generator())[100, :, 0] - expected).max() < 1.2
