"""Run lengths against the course's definition, written out naively; and back."""

from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vocctl.competition.rle import (
    RunLengths,
    by_plane,
    encode_classes,
    encode_label_map,
    in_order,
    labels_of_runs,
    overlap_length,
    parse_run_lengths,
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
FAST_SAVE = hypothesis.settings(max_examples=1000, deadline=None, database=None, derandomize=True)


def runs_of_vector(vector: np.ndarray) -> str:
    """FACTS of the course: pairs `start length` of the ones, starts from 1; walked place by place."""
    words, place = [], 0
    ones = vector.tolist()
    while place < len(ones):
        length = 0
        while place + length < len(ones) and ones[place + length]:
            length += 1
        if length:
            words += [str(place + 1), str(length)]
        place += length or 1
    return " ".join(words)


def stack_of(labels: np.ndarray) -> np.ndarray:
    """(20, H, W) bool, plane j - 1 holding class j."""
    return np.stack([labels == label for label in range(1, 21)])


@FAST_SAVE
@hypothesis.given(MAPS)
def test_labels_become_the_runs_of_the_flattened_stack(labels):
    assert str(encode_label_map(labels)) == runs_of_vector(stack_of(labels).ravel())


@FAST_SAVE
@hypothesis.given(MAPS)
def test_and_back(labels):
    there = labels_of_runs(parse_run_lengths(str(encode_label_map(labels))), *labels.shape)
    assert (there == np.where(labels == 255, 0, labels)).all()


def test_233_real_masks(shared: Path):
    source = open_dataset(shared / "voc-photos")
    ids = source.ids("val")
    assert len(ids) == 233
    for image_id in ids:
        labels = source.mask(image_id)
        flat = np.concatenate([[False], stack_of(labels).ravel(), [False]])
        edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        wanted = [number for start, end in zip(edges[::2], edges[1::2], strict=True) for number in (start, end - start)]
        text = str(encode_label_map(labels))
        assert text == " ".join(map(str, wanted))
        assert (labels_of_runs(parse_run_lengths(text), *labels.shape) == np.where(labels == 255, 0, labels)).all()


def test_a_worked_case():
    labels = np.array([[0, 2, 2], [1, 0, 2]], np.uint8)
    # class 1 (places 1 to 6): its one pixel is the fourth; class 2 (7 to 12): pixels 2 and 3 -> 8, 9; pixel 6 -> 12
    assert str(encode_label_map(labels)) == "4 1 8 2 12 1"


def test_a_run_goes_from_one_class_into_the_next():
    labels = np.array([[2, 0, 1]], np.uint8)
    # class 1: place 3; class 2: place 4: one run of two
    assert str(encode_label_map(labels)) == "3 2"
    assert (labels_of_runs(parse_run_lengths("3 2"), 1, 3) == labels).all()


def test_border_is_background_and_nothing_is_an_empty_text():
    assert str(encode_label_map(np.array([[255, 0]], np.uint8))) == ""


def test_classes_of_a_image():
    chosen = np.zeros(20, bool)
    chosen[[14, 15]] = True  # person, pottedplant
    assert str(encode_classes(chosen)) == "15 2"
    chosen[[0, 19]] = True
    assert str(encode_classes(chosen)) == "1 1 15 2 20 1"


@FAST_SAVE
@hypothesis.given(st.data())
def test_what_two_maps_share(data):
    shape = data.draw(SHAPES)
    first, second = (data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 3))) for _ in range(2))
    ours, theirs = encode_label_map(first), encode_label_map(second)
    assert overlap_length(ours, theirs) == np.count_nonzero((first == second) & (first > 0))
    for label, (mine, other) in enumerate(
        zip(by_plane(ours, first.size), by_plane(theirs, first.size), strict=True), 1
    ):
        assert mine.total == np.count_nonzero(first == label)
        assert overlap_length(mine, other) == np.count_nonzero((first == label) & (second == label))


@FAST_SAVE
@hypothesis.given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=8))
def test_runs_in_any_order_and_overlapping_become_disjoint_ones(pairs):
    numbers = np.array(pairs, np.int64).reshape(-1, 2)
    covered = np.zeros(40, bool)
    for start, length in pairs:
        covered[start : start + length] = True
    assert str(in_order(RunLengths(numbers[:, 0], numbers[:, 1]))) == runs_of_vector(covered)


@pytest.mark.parametrize(
    ("text", "said"),
    [("1", "pairs"), ("1 2 3", "pairs"), ("0 1", "count from 1"), ("1 0", "count from 1"), ("-1 2", "no number"),
     ("1.5 2", "no number"), ("a b", "no number"), ("1 " + "9" * 30, "no number"), ("１ 2", "no number")],
)  # fmt: skip
def test_text_that_is_no_runs(text, said):
    with pytest.raises(ValueError, match=said):
        parse_run_lengths(text)
