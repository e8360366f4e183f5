"""Who stands beside whom, and how large."""

import numpy as np
import pytest

from vocctl.data.shapes.backgrounds import SCENERIES
from vocctl.data.shapes.placement import HOMES, arranged, scenery_for
from vocctl.labels import CLASSES

SIZE = (448, 336)  # height, width of the canvas


def test_every_class_is_at_home_somewhere() -> None:
    assert set(HOMES) == set(SCENERIES)
    assert {name for names in HOMES.values() for name in names} == set(CLASSES)


def test_a_class_is_mostly_seen_where_it_is_at_home() -> None:
    rng = np.random.default_rng(0)
    seen = [scenery_for("boat", rng) for _ in range(200)]
    at_home = np.mean(["boat" in HOMES[scenery] for scenery in seen])
    assert 0.75 < at_home < 0.97  # 0.8, and a third of the rest
    assert set(seen) == set(SCENERIES)


@pytest.mark.parametrize("main", ["bottle", "bus", "aeroplane"])
def test_the_main_object_is_there_and_all_are_on_the_canvas(main: str) -> None:
    for seed in range(20):
        placed = arranged(main, "street", 0.5, SIZE, np.random.default_rng(seed))
        assert 1 <= len(placed) <= 4
        assert main in [one.name for one in placed]
        for one in placed:
            left, top, right, bottom = one.box
            inside = (min(right, SIZE[1]) - max(left, 0)) * (min(bottom, SIZE[0]) - max(top, 0))
            assert inside > 0.6 * (right - left) * (bottom - top)
        ends = [one.box[3] for one in placed]
        assert ends == sorted(ends)  # the nearest is painted last


def test_the_matrix_takes_the_sketch_into_its_box() -> None:
    for one in arranged("cow", "meadow", 0.5, SIZE, np.random.default_rng(3)):
        points = one.sketch.points() @ one.matrix[:, :2].T + one.matrix[:, 2]
        assert (*points.min(0), *points.max(0)) == pytest.approx(one.box)
