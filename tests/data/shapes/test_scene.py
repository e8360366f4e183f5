"""Masks of drawn images: labels, the band around each object, difficult objects."""

import numpy as np
import pytest

from vocctl.data.shapes.dataset import draw_image
from vocctl.data.shapes.scene import Drawing
from vocctl.labels import CLASSES, IGNORE, SEG_CLASSES


@pytest.fixture(scope="module")
def drawings() -> list[Drawing]:
    return [draw_image(3, k) for k in range(60)]


def test_masks_have_the_class_and_the_number_of_each_object(drawings: list[Drawing]) -> None:
    for drawing in drawings:
        assert drawing.image.shape == (*drawing.labels.shape, 3)
        assert all(160 <= side <= 256 for side in drawing.labels.shape)
        assert sorted(set(np.unique(drawing.instances)) - {0, IGNORE}) == list(range(1, len(drawing.objects) + 1))
        for number, drawn in enumerate(drawing.objects, start=1):
            assert (drawing.labels[drawing.instances == number] == SEG_CLASSES.index(drawn.name)).all()
        assert np.array_equal(drawing.labels == IGNORE, drawing.instances == IGNORE)
        assert np.array_equal(drawing.labels == 0, drawing.instances == 0)


def test_a_band_separates_every_object_from_its_surroundings(drawings: list[Drawing]) -> None:
    for drawing in drawings:
        instances = drawing.instances.astype(int)
        for pixel, neighbor in ((instances[1:], instances[:-1]), (instances[:, 1:], instances[:, :-1])):
            touching = (pixel != neighbor) & (pixel != IGNORE) & (neighbor != IGNORE)
            assert not touching.any()


def test_the_band_is_two_or_three_pixels_wide(drawings: list[Drawing]) -> None:
    runs = []
    for drawing in drawings:
        for row in drawing.labels == IGNORE:
            edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
            runs += list(edges[1::2] - edges[::2])
    assert np.median(runs) in (2, 3)


def test_a_box_contains_its_object(drawings: list[Drawing]) -> None:
    for drawing in drawings:
        height, width = drawing.labels.shape
        for number, drawn in enumerate(drawing.objects, start=1):
            left, top, right, bottom = drawn.box
            assert 1 <= left <= right <= width
            assert 1 <= top <= bottom <= height
            rows, columns = np.nonzero(drawing.instances == number)
            assert left - 1 <= columns.min()
            assert columns.max() <= right - 1
            assert top - 1 <= rows.min()
            assert rows.max() <= bottom - 1


def test_main_objects_are_large_and_images_show_one_to_four_objects(drawings: list[Drawing]) -> None:
    assert {len(drawing.objects) for drawing in drawings} == {1, 2, 3, 4}
    largest = []
    for drawing in drawings:
        sides = [max(drawn.box[2] - drawn.box[0], drawn.box[3] - drawn.box[1]) for drawn in drawing.objects]
        largest.append(max(sides) / max(drawing.labels.shape))
    assert 0.45 < np.median(largest) < 0.85


def test_some_objects_are_difficult_and_most_are_not(drawings: list[Drawing]) -> None:
    difficult = [drawn.difficult for drawing in drawings for drawn in drawing.objects]
    assert 0.02 < np.mean(difficult) < 0.3


def test_twenty_consecutive_images_show_all_classes(drawings: list[Drawing]) -> None:
    for start in (0, 20, 40):
        assert {drawn.name for drawing in drawings[start : start + 20] for drawn in drawing.objects} == set(CLASSES)
