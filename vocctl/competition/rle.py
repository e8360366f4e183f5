"""Run-length encoding as the competition defines it, computed from label maps without building the stack of binary masks.

Source: the starter notebook of the H02A5a course. A segmentation is the boolean stack of the 20 foreground classes' planes,
(20, H, W), flattened in C order into one vector; a classification is the vector of the 20 classes, whose planes have one
element each. A row of the csv lists the runs of ones as `start length` pairs; starts count from 1. Pixel p of class c has
index (c - 1) * H * W + p in the vector, so a run may continue from the last pixel of one class into the first pixel of the
next.
"""

from dataclasses import dataclass

import numpy as np

from vocctl.labels import CLASSES, IGNORE

NUM_CLASSES = len(CLASSES)
MAX_DIGITS = 15  # of a number in a row, so that sums of such numbers do not overflow int64


@dataclass(frozen=True)
class RunLengths:
    """Runs of ones in a vector. starts: (R,) int64, from 0. lengths: (R,) int64, positive.

    The runs are disjoint and sorted, except those that parse_run_lengths returns.
    """

    starts: np.ndarray
    lengths: np.ndarray

    def __str__(self) -> str:
        """Return the row's text, in which starts count from 1."""
        numbers = np.empty(2 * len(self.starts), np.int64)
        numbers[::2] = self.starts + 1
        numbers[1::2] = self.lengths
        return " ".join(map(str, numbers.tolist()))

    @property
    def num_ones(self) -> int:
        """Number of ones."""
        return int(self.lengths.sum())

    @property
    def ends(self) -> np.ndarray:
        """For each run, the index after its last element, (R,)."""
        return self.starts + self.lengths


def encode_label_map(labels: np.ndarray) -> RunLengths:
    """Encode a label map (H, W) uint8 with values 0..20; IGNORE counts as background."""
    flat = labels.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    bounds = np.empty(len(changes) + 2, np.int64)  # where the segments of constant label start; then the end
    bounds[0], bounds[1:-1], bounds[-1] = 0, changes + 1, flat.size
    values = flat[bounds[:-1]]
    foreground = np.flatnonzero((values > 0) & (values != IGNORE))
    order = foreground[np.argsort(values[foreground], kind="stable")]  # by class, then by position
    first_pixels = bounds[order]
    starts = (values[order].astype(np.int64) - 1) * flat.size + first_pixels
    return _join_adjacent(starts, bounds[order + 1] - first_pixels)


def encode_classes(classes: np.ndarray) -> RunLengths:
    """Encode the classes of an image, (20,) bool."""
    starts = np.flatnonzero(classes)
    return _join_adjacent(starts, np.ones(len(starts), np.int64))


def _join_adjacent(starts: np.ndarray, lengths: np.ndarray) -> RunLengths:
    """Join runs that touch. The runs are sorted and disjoint."""
    is_run_start = np.ones(len(starts), bool)
    np.not_equal(starts[1:], starts[:-1] + lengths[:-1], out=is_run_start[1:])
    if is_run_start.all():
        return RunLengths(starts, lengths)
    first = np.flatnonzero(is_run_start)
    return RunLengths(starts[first], np.add.reduceat(lengths, first))


def parse_run_lengths(text: str) -> RunLengths:
    """Parse a row's text. The runs keep their order and may overlap. Raises ValueError: the text is not a list of runs."""
    tokens = text.split()
    for token in tokens:
        if not token.isascii() or not token.isdigit():
            raise ValueError(f"{token[:20]!r} is not a positive integer")
        if len(token) > MAX_DIGITS:
            raise ValueError(f"the number {token[:20]!r} has {len(token)} digits, more than {MAX_DIGITS}")
    if len(tokens) % 2:
        raise ValueError(f"the number of values is odd ({len(tokens)}): expected pairs of start and length")
    numbers = np.array(tokens, np.int64)
    if not numbers.all():
        raise ValueError("one of the numbers is 0: starts count from 1, and every run has a positive length")
    return RunLengths(numbers[::2] - 1, numbers[1::2])


def union_of_runs(runs: RunLengths) -> RunLengths:
    """Sort runs that may be unsorted and overlap, and merge them into disjoint ones."""
    order = np.argsort(runs.starts, kind="stable")
    starts, ends = runs.starts[order], runs.ends[order]
    max_ends = np.maximum.accumulate(ends) if len(ends) else ends
    is_run_start = np.ones(len(starts), bool)
    is_run_start[1:] = starts[1:] > max_ends[:-1]
    first = np.flatnonzero(is_run_start)
    last = np.append(first[1:], len(starts)) - 1 if len(first) else first
    return RunLengths(starts[first], max_ends[last] - starts[first])


def intersection_size(first: RunLengths, second: RunLengths) -> int:
    """Count the indices that both cover. The runs of each are disjoint and sorted."""
    if not len(first.starts) or not len(second.starts):
        return 0
    return int((_ones_before(first, second.ends) - _ones_before(first, second.starts)).sum())


def _ones_before(runs: RunLengths, indices: np.ndarray) -> np.ndarray:
    """Return, for each index, the number of ones before it. The runs are disjoint and sorted."""
    run = np.searchsorted(runs.starts, indices, side="right") - 1  # the last run that starts at or before the index
    ones_before_run = np.append(0, np.cumsum(runs.lengths))
    ones_in_run = np.minimum(indices - runs.starts[run], runs.lengths[run])
    count: np.ndarray = np.where(run < 0, 0, ones_before_run[run] + ones_in_run)
    return count


def split_by_class(runs: RunLengths, plane_size: int) -> list[RunLengths]:
    """Split the runs at the bounds of the 20 class planes of plane_size elements. Starts count from 0 in each plane.

    The runs are disjoint and sorted. plane_size: H * W of a segmentation, 1 of a classification.
    """
    bounds = np.arange(1, NUM_CLASSES) * plane_size
    crossed = (
        bounds[(_ones_before(runs, bounds + 1) > _ones_before(runs, bounds)) & ~np.isin(bounds, runs.starts)]
        if len(runs.starts)
        else bounds[:0]
    )
    starts = np.sort(np.concatenate([runs.starts, crossed]))
    ends = np.sort(np.concatenate([runs.ends, crossed]))
    planes = starts // plane_size
    return [
        RunLengths(starts[planes == plane] - plane * plane_size, (ends - starts)[planes == plane])
        for plane in range(NUM_CLASSES)
    ]
