"""Painting: masks, positions, shading and patterns."""

import numpy as np
import pytest

from vocctl.data.shapes.fills import Fill, second_color_weight
from vocctl.data.shapes.painter import paint
from vocctl.data.shapes.sketch import Sketch

UNITS_TO_PIXELS = np.array(
    [[10.0, 0.0, 0.0], [0.0, -10.0, 50.0]]
)  # ten pixels per unit; y = 0 is row 50, up is positive


def test_a_box_is_painted_at_its_coordinates() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    sketch = Sketch()
    sketch.box(1, 1, 4, 3, (200, 100, 50), outline=0)
    mask = paint(image, sketch, UNITS_TO_PIXELS, half_line_width=1.0) > 127
    rows, columns = np.nonzero(mask)
    # x 1..4 is columns 10..40; y 1..3 is rows 50 - 30 .. 50 - 10; a filled polygon includes its edge
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 40, 10, 40)
    assert tuple(image[30, 25]) == (200, 100, 50)
    assert tuple(image[5, 5]) == (0, 0, 0)


def test_unlabeled_shapes_are_painted_but_not_in_the_mask() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    sketch, smoke = Sketch(), Sketch()
    sketch.box(1, 1, 2, 2, (200, 100, 50))
    smoke.box(5, 1, 6, 2, (90, 90, 90))
    sketch.add_unlabeled(smoke)
    mask = paint(image, sketch, UNITS_TO_PIXELS, half_line_width=1.0)
    assert image[35, 55].tolist() == [90, 90, 90]
    assert not mask[:, 45:].any()
    assert sketch.bounds() == (1, 1, 2, 2)


def test_a_round_shape_is_lit_from_the_upper_left() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    sketch = Sketch()
    sketch.oval(0, 0, 4, 4, Fill((120, 120, 120), roundness=1.0), outline=0)
    paint(image, sketch, np.array([[10.0, 0.0, 50.0], [0.0, -10.0, 50.0]]), half_line_width=1.0)
    assert image[32, 32, 0] > 130 > 110 > image[68, 68, 0]


def test_a_shape_beyond_the_edge_is_clipped() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    sketch = Sketch()
    sketch.oval(0, 0, 3, 3, Fill((120, 20, 20), (20, 20, 120), "checks", 0.5, roundness=0.5))
    sketch.rod([(50, 50), (60, 60), (70, 50)], 1.0, Fill((1, 2, 3), roundness=0.4))
    mask = paint(image, sketch, UNITS_TO_PIXELS, half_line_width=1.0)
    assert mask[49, 1] == 255
    assert not mask[:, 40:].any()


@pytest.mark.parametrize("pattern", ["stripes", "bands", "spots", "checks", "patches", "grain"])
def test_a_pattern_shows_both_colors(pattern: str) -> None:
    x, y = np.meshgrid(np.linspace(0, 1, 80), np.linspace(0, 1, 80))
    weight = second_color_weight(Fill((0, 0, 0), pattern=pattern, scale=0.15), x, y)
    assert weight.min() >= 0
    assert weight.max() <= 1
    assert 0.02 < weight.mean() < 0.9
