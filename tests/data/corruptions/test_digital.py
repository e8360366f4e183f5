"""Contrast, coarse pixels and JPEG compression: exact answers."""

import io

import numpy as np
import pytest
from PIL import Image

from vocctl.data.corruptions.digital import CONTRAST, JPEG_QUALITY, contrast, jpeg_compression, pixelate

SEVERITIES = (1, 2, 3, 4, 5)
GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_contrast_keeps_the_mean_of_each_channel(severity: int) -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[0] = (200, 100, 40)  # the means are 100, 50 and 20
    expected = [round(mean * (1 + CONTRAST[severity - 1])) for mean in (100, 50, 20)]
    assert np.abs(contrast(image, severity, GENERATOR)[0, 0].astype(int) - expected).max() <= 1
    assert contrast(image, 3, GENERATOR)[0, 0].tolist() == [120, 60, 24]
    assert contrast(image, 3, GENERATOR)[1, 0].tolist() == [80, 40, 16]


def test_pixelate_averages_blocks():
    # 448 x 448: the paper's pixel is 2 pixels wide, and a block of severity 2 has 2 / 0.5 = 4
    image = np.random.default_rng(0).integers(0, 256, (448, 448, 3), dtype=np.uint8)
    means = image.reshape(112, 4, 112, 4, 3).astype(float).mean((1, 3))
    coarse = pixelate(image, 2, GENERATOR)
    assert np.abs(coarse[::4, ::4] - means).max() <= 0.5
    assert np.array_equal(coarse, coarse[::4, ::4].repeat(4, 0).repeat(4, 1))


def test_pixelate_leaves_an_image_whose_blocks_are_below_a_pixel():
    image = np.random.default_rng(0).integers(0, 256, (56, 56, 3), dtype=np.uint8)
    assert np.array_equal(pixelate(image, 5, GENERATOR), image)  # 0.25 / 0.25 = 1 pixel


@pytest.mark.parametrize("severity", SEVERITIES)
def test_jpeg_compression_has_the_quality_of_libjpeg(severity: int, images: list[np.ndarray]) -> None:
    content = io.BytesIO()
    Image.fromarray(images[0]).save(content, "JPEG", quality=JPEG_QUALITY[severity - 1])
    expected = np.array(Image.open(content)).astype(int)
    difference = np.abs(jpeg_compression(images[0], severity, GENERATOR) - expected)
    assert difference.mean() < 1
