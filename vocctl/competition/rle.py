"""Run-length encoding as the competition defines it, computed from label maps without building the stack of binary masks.

Source: the course's starter notebook. A segmentation is the boolean stack (20, H, W) of the foreground classes, flattened
in C order into one vector; a classification is the vector of the 20 classes. A row of the csv lists the runs of ones as
`start length` pairs; starts count from 1. Pixel p of class c has index (c - 1) * H * W + p in the vector, so a run may
continue from the last pixel of one class into the first pixel of the next.
"""

from dataclasses import dataclass

import numpy as np

from vocctl.labels import CLASSES, IGNORE

NUM_CLASSES = len(CLASSES)
MAX_DIGITS = 15  # of a number in a row: it fits int64 with room for sums


@dataclass(frozen=True)
class RunLengths:
    """Runs of ones in a vector. starts: (R,) int64, from 0. lengths: (R,) int64, positive.

    Disjoint and sorted, except as parse_run_lengths returns them.
    """

    starts: np.ndarray
    lengths: np.ndarray

    def __str__(self) -> str:
        """Format as the competition does: starts count from 1."""
        numbers = np.empty(2 * len(self.starts), np.int64)
        numbers[::2] = self.starts + 1
        numbers[1::2] = self.lengths
        return " ".join(map(str, numbers.tolist()))

    @property
    def total(self) -> int:
        """Number of ones."""
        return int(self.lengths.sum())

    @property
    def ends(self) -> np.ndarray:
        """(R,) index after the last one of each run."""
        return self.starts + self.lengths


def encode_label_map(labels: np.ndarray) -> RunLengths:
    """Encode a label map (H, W) uint8 with values 0..20; IGNORE counts as background."""
    flat = labels.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    bounds = np.empty(len(changes) + 2, np.int64)  # where the segments of constant label start and end
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
    starts_new = np.ones(len(starts), bool)
    np.not_equal(starts[1:], starts[:-1] + lengths[:-1], out=starts_new[1:])
    if starts_new.all():
        return RunLengths(starts, lengths)
    first = np.flatnonzero(starts_new)
    return RunLengths(starts[first], np.add.reduceat(lengths, first))


def parse_run_lengths(text: str) -> RunLengths:
    """Parse a row's text. The runs keep their order and may overlap. Raises ValueError with what the text holds instead."""
    tokens = text.split()
    invalid = [token for token in tokens if not token.isascii() or not token.isdigit() or len(token) > MAX_DIGITS]
    if invalid:
        raise ValueError(f"{invalid[0][:20]!r}, which is not a positive integer")
    if len(tokens) % 2:
        raise ValueError(f"{len(tokens)} numbers: expected pairs of start and length")
    numbers = np.array(tokens, np.int64)
    if not numbers.all():
        raise ValueError("a 0: starts count from 1, and every run has a positive length")
    return RunLengths(numbers[::2] - 1, numbers[1::2])


def union_of_runs(runs: RunLengths) -> RunLengths:
    """Sort runs that may be unsorted and overlap, and merge them into disjoint ones."""
    order = np.argsort(runs.starts, kind="stable")
    starts, ends = runs.starts[order], runs.ends[order]
    max_ends = np.maximum.accumulate(ends) if len(ends) else ends
    starts_new = np.ones(len(starts), bool)
    starts_new[1:] = starts[1:] > max_ends[:-1]
    first = np.flatnonzero(starts_new)
    last = np.append(first[1:], len(starts)) - 1 if len(first) else first
    return RunLengths(starts[first], max_ends[last] - starts[first])


def intersection_size(first: RunLengths, second: RunLengths) -> int:
    """Number of indices that both cover. Both are disjoint and sorted."""
    if not len(first.starts) or not len(second.starts):
        return 0
    return int((_ones_before(first, second.ends) - _ones_before(first, second.starts)).sum())


def _ones_before(runs: RunLengths, indices: np.ndarray) -> np.ndarray:
    """For each index, the number of ones before it. The runs are disjoint and sorted."""
    run = np.searchsorted(runs.starts, indices, side="right") - 1  # the last run that starts at or before the index
    ones_before_run = np.append(0, np.cumsum(runs.lengths))
    ones_in_run = np.minimum(indices - runs.starts[run], runs.lengths[run])
    count: np.ndarray = np.where(run < 0, 0, ones_before_run[run] + ones_in_run)
    return count


def split_by_class(runs: RunLengths, plane_size: int) -> list[RunLengths]:
    """Split the runs at the bounds of the 20 planes of plane_size elements. The starts count from 0 in each plane.

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
