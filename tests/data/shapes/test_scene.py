"""A picture's masks: which labels, the band around each object, what is difficult."""

import numpy as np
import pytest

from vocctl.data.shapes.dataset import draw_picture
from vocctl.data.shapes.scene import Drawing
from vocctl.labels import CLASSES, IGNORE, SEG_CLASSES


@pytest.fixture(scope="module")
def pictures() -> list[Drawing]:
    return [draw_picture(3, k) for k in range(60)]


def test_each_object_leaves_its_label_and_its_number(pictures: list[Drawing]) -> None:
    for picture in pictures:
        assert picture.image.shape == (*picture.labels.shape, 3)
        assert all(160 <= side <= 256 for side in picture.labels.shape)
        assert sorted(set(np.unique(picture.numbers)) - {0, IGNORE}) == list(range(1, len(picture.objects) + 1))
        for number, one in enumerate(picture.objects, start=1):
            assert (picture.labels[picture.numbers == number] == SEG_CLASSES.index(one.name)).all()
        assert np.array_equal(picture.labels == IGNORE, picture.numbers == IGNORE)
        assert np.array_equal(picture.labels == 0, picture.numbers == 0)


def test_a_band_parts_every_object_from_all_else(pictures: list[Drawing]) -> None:
    for picture in pictures:
        numbers = picture.numbers.astype(int)
        for one, other in ((numbers[1:], numbers[:-1]), (numbers[:, 1:], numbers[:, :-1])):
            touching = (one != other) & (one != IGNORE) & (other != IGNORE)
            assert not touching.any()


def test_the_band_is_two_or_three_pixels_wide(pictures: list[Drawing]) -> None:
    runs = []
    for picture in pictures:
        for row in picture.labels == IGNORE:
            edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
            runs += list(edges[1::2] - edges[::2])
    assert np.median(runs) in (2, 3)


def test_a_box_holds_its_object(pictures: list[Drawing]) -> None:
    for picture in pictures:
        height, width = picture.labels.shape
        for number, one in enumerate(picture.objects, start=1):
            left, top, right, bottom = one.box
            assert 1 <= left <= right <= width
            assert 1 <= top <= bottom <= height
            rows, columns = np.nonzero(picture.numbers == number)
            assert left - 1 <= columns.min()
            assert columns.max() <= right - 1
            assert top - 1 <= rows.min()
            assert rows.max() <= bottom - 1


def test_main_objects_are_large_and_pictures_hold_one_to_four(pictures: list[Drawing]) -> None:
    assert {len(picture.objects) for picture in pictures} == {1, 2, 3, 4}
    largest = []
    for picture in pictures:
        sides = [max(one.box[2] - one.box[0], one.box[3] - one.box[1]) for one in picture.objects]
        largest.append(max(sides) / max(picture.labels.shape))
    assert 0.45 < np.median(largest) < 0.85


def test_some_objects_are_difficult_and_most_are_not(pictures: list[Drawing]) -> None:
    difficult = [one.difficult for picture in pictures for one in picture.objects]
    assert 0.02 < np.mean(difficult) < 0.3


def test_twenty_pictures_in_a_row_have_the_twenty_classes_between_them(pictures: list[Drawing]) -> None:
    for start in (0, 20, 40):
        assert {one.name for picture in pictures[start : start + 20] for one in picture.objects} == set(CLASSES)
