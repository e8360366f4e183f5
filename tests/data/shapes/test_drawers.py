"""Each of the twenty drawers draws an object of sensible size, in several colors, that differs between seeds."""

from itertools import combinations

import numpy as np
import pytest

from vocctl.data.shapes.drawers import DRAWERS
from vocctl.data.shapes.painter import paint
from vocctl.labels import CLASSES

SIDE = 200


def painted(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Paint an object, scaled to 0.9 SIDE, on gray. Returns the image and the object's mask."""
    sketch = DRAWERS[name](np.random.default_rng(seed))
    left, bottom, right, top = sketch.bounds()
    scale = 0.9 * SIDE / max(right - left, top - bottom)
    x, y = SIDE / 2 - scale * (left + right) / 2, SIDE / 2 + scale * (bottom + top) / 2
    image = np.full((SIDE, SIDE, 3), 128, np.uint8)
    mask = paint(image, sketch, np.array([[scale, 0.0, x], [0.0, -scale, y]]), half_line_width=1.0)
    return image, mask


def test_every_class_has_a_drawer() -> None:
    assert tuple(DRAWERS) == CLASSES


@pytest.mark.parametrize("name", CLASSES)
def test_a_drawing_covers_a_sensible_area_in_several_colors(name: str) -> None:
    for seed in range(6):
        image, mask = painted(name, seed)
        fraction = (mask > 127).mean()
        assert 0.08 < fraction < 0.85, f"seed {seed} covers {fraction:.2f} of its square"
        inside = image[mask > 127]
        assert len(np.unique(inside // 32, axis=0)) >= 4
        rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
        longest = max(np.ptp(rows), np.ptp(columns)) + 1
        assert 0.88 * SIDE <= longest <= 0.94 * SIDE  # 0.9 and the outline


@pytest.mark.parametrize("name", CLASSES)
def test_two_drawings_differ_and_one_seed_repeats(name: str) -> None:
    first, other_seed, same_seed = painted(name, 1)[0], painted(name, 2)[0], painted(name, 1)[0]
    assert np.array_equal(first, same_seed)
    assert (first != other_seed).any(axis=2).mean() > 0.05


def test_no_two_classes_of_animals_share_an_outline() -> None:
    animals = ("cat", "dog", "horse", "cow", "sheep", "bird")
    shapes = {name: np.mean([painted(name, seed)[1] / 255 for seed in range(10)], axis=0) for name in animals}
    for first, second in combinations(animals, 2):
        difference = np.abs(shapes[first] - shapes[second]).sum() / np.maximum(shapes[first], shapes[second]).sum()
        assert difference > 0.15, f"{first} and {second}"
