"""Levels and fractions, and the length of the paper's pixel."""

import numpy as np
import pytest

from vocctl.data.corruptions.pixels import pixel_scale, to_levels, to_unit


def test_the_shorter_side_decides_the_scale():
    assert pixel_scale(224, 224) == 1
    assert pixel_scale(448, 600) == 2
    assert pixel_scale(500, 112) == pytest.approx(125 / 224)  # a quarter of the longer side is more
    assert pixel_scale(1, 1) == pytest.approx(1 / 224)


def test_values_are_clipped_and_rounded():
    values = np.array([-0.5, 0.499 / 255, 0.501 / 255, 1.5])
    assert to_levels(values).tolist() == [0, 0, 1, 255]
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_levels(to_unit(levels)), levels)
