"""Sceneries of the classes, and positions and sizes of objects."""

import numpy as np
import pytest

from vocctl.data.shapes.backgrounds import SCENERIES
from vocctl.data.shapes.placement import CLASSES_BY_SCENERY, arrange_objects, choose_scenery
from vocctl.labels import CLASSES

SIZE = (448, 336)  # height, width of the canvas


def test_every_class_has_a_scenery() -> None:
    assert set(CLASSES_BY_SCENERY) == set(SCENERIES)
    assert {name for names in CLASSES_BY_SCENERY.values() for name in names} == set(CLASSES)


def test_a_class_is_mostly_in_its_usual_sceneries() -> None:
    rng = np.random.default_rng(0)
    sceneries = [choose_scenery("boat", rng) for _ in range(200)]
    usual = np.mean(["boat" in CLASSES_BY_SCENERY[scenery] for scenery in sceneries])
    assert 0.75 < usual < 0.97  # 0.8, plus the usual sceneries among the 0.2 that are drawn from all
    assert set(sceneries) == set(SCENERIES)


@pytest.mark.parametrize("main", ["bottle", "bus", "aeroplane"])
def test_the_main_object_is_placed_and_all_objects_are_on_the_canvas(main: str) -> None:
    for seed in range(20):
        placed = arrange_objects(main, "street", 0.5, SIZE, np.random.default_rng(seed))
        assert 1 <= len(placed) <= 4
        assert main in [placed_object.name for placed_object in placed]
        for placed_object in placed:
            left, top, right, bottom = placed_object.box
            inside = (min(right, SIZE[1]) - max(left, 0)) * (min(bottom, SIZE[0]) - max(top, 0))
            assert inside > 0.6 * (right - left) * (bottom - top)
        bottoms = [placed_object.box[3] for placed_object in placed]
        assert bottoms == sorted(bottoms)  # the nearest is painted last


def test_the_matrix_maps_the_sketch_to_its_box() -> None:
    for placed_object in arrange_objects("cow", "meadow", 0.5, SIZE, np.random.default_rng(3)):
        points = placed_object.sketch.points() @ placed_object.matrix[:, :2].T + placed_object.matrix[:, 2]
        assert (*points.min(0), *points.max(0)) == pytest.approx(placed_object.box)
