"""The size at which a model sees an image, and downscaling by averaging."""

import cv2
import numpy as np
import pytest

from vocctl.data.resize import resize_mask, resize_to_model
from vocctl.resizing import area_weights, averages_areas, model_input_size


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (375, 500, (224, 288)),  # 224 / 375 * 500 = 298.7: nearer to 288 than to 320
        (500, 375, (288, 224)),
        (224, 224, (224, 224)),
        (10, 10, (224, 224)),
        (100, 110, (224, 256)),  # 246.4
        (10, 1000, (224, 896)),  # squeezed to four times the shorter side
    ],
)
def test_model_input_size(height, width, expected):
    assert model_input_size(height, width, 224) == expected


@pytest.mark.parametrize(("source", "target"), [(5, 5), (6, 3), (7, 3), (100, 32)])
def test_area_weights_equal_opencv(source, target):
    row = np.random.default_rng(0).random(source).astype(np.float32)
    expected = cv2.resize(row[None], (target, 1), interpolation=cv2.INTER_AREA)[0]
    weights = area_weights(source, target)
    assert weights.dtype == np.float32
    assert weights.sum(1) == pytest.approx(1)
    assert weights @ row == pytest.approx(expected, abs=1e-6)


def test_resize_to_model_averages_and_interpolates():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[::2] = 200
    assert (resize_to_model(stripes, 32) == 100).all()  # the mean of two rows
    enlarged = resize_to_model(stripes[:16, :16], 32)
    assert enlarged.shape == (32, 32, 3)
    assert 0 < enlarged[1].max() < 200


@pytest.mark.parametrize(
    ("image_size", "input_size", "expected"),
    [
        ((500, 375), (288, 224), True),
        ((300, 224), (288, 224), True),  # the width stays
        ((100, 110), (224, 256), False),
        ((230, 255), (224, 256), False),  # the height shrinks, the width grows
        ((255, 230), (256, 224), False),
    ],
)
def test_areas_are_averaged_only_if_no_side_grows(image_size, input_size, expected):
    assert averages_areas(image_size, input_size) == expected


def test_resize_to_model_interpolates_where_one_side_grows():
    """230 x 255 at 224 is 224 x 256: bilinear, as an attack differentiates it."""
    image = np.random.default_rng(0).integers(0, 256, (230, 255, 3), dtype=np.uint8)
    expected = cv2.resize(image, (256, 224), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(resize_to_model(image, 224), expected)


def test_resize_mask_keeps_labels():
    mask = np.array([[0, 20], [255, 3]], np.uint8)
    assert np.array_equal(resize_mask(mask, 4, 6), mask.repeat(2, 0).repeat(3, 1))
