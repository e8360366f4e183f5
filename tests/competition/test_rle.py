"""Run lengths compared with a naive implementation of the competition's definition."""

from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vocctl.competition.rle import (
    RunLengths,
    encode_classes,
    encode_label_map,
    intersection_size,
    parse_run_lengths,
    split_by_class,
    union_of_runs,
)
from vocctl.data.source import open_dataset

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9)
LABELS = st.one_of(st.integers(0, 20), st.sampled_from([0, 1, 2, 20, 255]))
MAPS = st.one_of(
    hnp.arrays(np.uint8, SHAPES, elements=LABELS),
    hnp.arrays(np.uint8, SHAPES, elements=LABELS, fill=LABELS),  # large areas of one label
    st.integers(1, 60).flatmap(lambda width: hnp.arrays(np.uint8, (1, width), elements=LABELS)),
    st.permutations(range(21)).map(lambda order: np.array(order, np.uint8).reshape(3, 7)),  # every class
    SHAPES.map(lambda shape: np.zeros(shape, np.uint8)),
)
SETTINGS = hypothesis.settings(max_examples=1000, deadline=None, database=None, derandomize=True)


def naive_run_lengths(vector: np.ndarray) -> str:
    """Find the runs of ones element by element. Returns pairs `start length`; starts count from 1."""
    words, index = [], 0
    ones = vector.tolist()
    while index < len(ones):
        length = 0
        while index + length < len(ones) and ones[index + length]:
            length += 1
        if length:
            words += [str(index + 1), str(length)]
        index += length or 1
    return " ".join(words)


def stack_of(labels: np.ndarray) -> np.ndarray:
    """(20, H, W) bool, plane j - 1 holding class j."""
    return np.stack([labels == label for label in range(1, 21)])


@SETTINGS
@hypothesis.given(MAPS)
def test_label_map_is_encoded_as_the_flattened_stack(labels):
    assert str(encode_label_map(labels)) == naive_run_lengths(stack_of(labels).ravel())


def test_real_masks_are_encoded_as_the_flattened_stack(shared: Path):
    source = open_dataset(shared / "voc-photos")
    ids = source.ids("val")
    assert len(ids) == 233
    for image_id in ids:
        labels = source.mask(image_id)
        flat = np.concatenate([[False], stack_of(labels).ravel(), [False]])
        edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        pairs = zip(edges[::2], edges[1::2], strict=True)
        expected = [number for start, end in pairs for number in (start, end - start)]
        assert str(encode_label_map(labels)) == " ".join(map(str, expected))


def test_a_label_map_encoded_by_hand():
    labels = np.array([[0, 2, 2], [1, 0, 2]], np.uint8)
    # class 1 (indices 1 to 6): its only pixel is the fourth; class 2 (7 to 12): pixels 2 and 3 -> 8, 9; pixel 6 -> 12
    runs = encode_label_map(labels)
    assert str(runs) == "4 1 8 2 12 1"
    assert (runs.starts.tolist(), runs.ends.tolist(), runs.num_ones) == ([3, 7, 11], [4, 9, 12], 4)


def test_a_run_continues_from_one_class_into_the_next():
    runs = encode_label_map(np.array([[2, 0, 1]], np.uint8))
    # class 1: index 3; class 2: index 4
    assert str(runs) == "3 2"
    first, second, *others = split_by_class(runs, 3)
    assert (str(first), str(second)) == ("3 1", "1 1")
    assert not any(plane.num_ones for plane in others)


def test_ignored_pixels_are_background_and_an_empty_map_is_an_empty_string():
    assert str(encode_label_map(np.array([[255, 0]], np.uint8))) == ""


def test_classes_of_an_image_are_encoded():
    classes = np.zeros(20, bool)
    classes[[14, 15]] = True  # person, pottedplant
    assert str(encode_classes(classes)) == "15 2"
    classes[[0, 19]] = True
    assert str(encode_classes(classes)) == "1 1 15 2 20 1"


@SETTINGS
@hypothesis.given(st.data())
def test_intersection_of_two_label_maps(data):
    shape = data.draw(SHAPES)
    first, second = (data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 3))) for _ in range(2))
    runs = [encode_label_map(first), encode_label_map(second)]
    assert intersection_size(*runs) == np.count_nonzero((first == second) & (first > 0))
    planes = zip(*(split_by_class(map_runs, first.size) for map_runs in runs), strict=True)
    for label, (first_plane, second_plane) in enumerate(planes, start=1):
        assert first_plane.num_ones == np.count_nonzero(first == label)
        assert intersection_size(first_plane, second_plane) == np.count_nonzero((first == label) & (second == label))


@SETTINGS
@hypothesis.given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=8))
def test_union_of_unsorted_and_overlapping_runs(pairs):
    numbers = np.array(pairs, np.int64).reshape(-1, 2)
    covered = np.zeros(40, bool)
    for start, length in pairs:
        covered[start : start + length] = True
    assert str(union_of_runs(RunLengths(numbers[:, 0], numbers[:, 1]))) == naive_run_lengths(covered)


def test_parsed_runs_keep_their_order():
    runs = parse_run_lengths(" 8 2  4 1 ")
    assert (runs.starts.tolist(), runs.lengths.tolist()) == ([7, 3], [2, 1])
    assert parse_run_lengths("").num_ones == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [("1", "pairs"), ("1 2 3", "pairs"), ("0 1", "count from 1"), ("1 0", "positive length"), ("-1 2", "'-1' is not a positive"),
     ("1.5 2", "not a positive integer"), ("a b", "not a positive integer"), ("1 " + "9" * 16, "has 16 digits, more than 15"),
     ("１ 2", "not a positive integer")],
)  # fmt: skip
def test_invalid_run_lengths_are_errors(text, message):
    with pytest.raises(ValueError, match=message):
        parse_run_lengths(text)


def test_a_run_is_split_between_the_last_two_classes():
    labels = np.array([[20, 0, 19]], np.uint8)
    # class 19: index 18 * 3 + 2 = 56; class 20: index 19 * 3 = 57
    runs = encode_label_map(labels)
    assert str(runs) == "57 2"
    assert [str(plane) for plane in split_by_class(runs, 3)] == 18 * [""] + ["3 1", "1 1"]
