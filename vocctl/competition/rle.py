"""The competition's run lengths: straight from a label map, and back.

Source: the course's starter notebook. A segmentation is the boolean stack (20, H, W) of the foreground classes, flattened
in C order (row by row) into one vector; a classification is the vector of the 20 classes. Runs of ones are written as
`start length` pairs, start counted from 1. The stack is never built here: pixel p of class c has the place
(c - 1) * H * W + p in it. A run may go from one class's last pixel into the next class's first one.
"""

from dataclasses import dataclass

import numpy as np
import orjson

from vocctl.labels import CLASSES, IGNORE

NUM_CLASSES = len(CLASSES)


@dataclass(frozen=True)
class RunLengths:
    """Disjoint runs in ascending order. starts: (R,) int64 from 0. lengths: (R,) int64, all above 0."""

    starts: np.ndarray
    lengths: np.ndarray

    def __str__(self) -> str:
        """As the competition writes them."""
        numbers = np.empty(2 * len(self.starts), np.int64)
        numbers[::2] = self.starts + 1
        numbers[1::2] = self.lengths
        listed = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)  # [1,2,3]
        return listed[1:-1].replace(b",", b" ").decode("ascii")

    @property
    def total(self) -> int:
        """How many places they cover."""
        return int(self.lengths.sum())

    @property
    def ends(self) -> np.ndarray:
        """(R,) first place after each run."""
        return self.starts + self.lengths


def encode_label_map(labels: np.ndarray) -> RunLengths:
    """Runs of a label map (H, W) uint8, 0..20; IGNORE counts as background."""
    flat = labels.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    bounds = np.empty(len(changes) + 2, np.int64)  # of each stretch of one label
    bounds[0], bounds[1:-1], bounds[-1] = 0, changes + 1, flat.size
    values = flat[bounds[:-1]]
    kept = np.flatnonzero((values > 0) & (values != IGNORE))
    order = kept[np.argsort(values[kept], kind="stable")]  # by class, and within it as they come
    firsts = bounds[order]
    starts = (values[order].astype(np.int64) - 1) * flat.size + firsts
    return _joined(starts, bounds[order + 1] - firsts)


def encode_classes(chosen: np.ndarray) -> RunLengths:
    """Runs of the 20-vector of a image's classes, (20,) bool."""
    starts = np.flatnonzero(chosen)
    return _joined(starts, np.ones(len(starts), np.int64))


def _joined(starts: np.ndarray, lengths: np.ndarray) -> RunLengths:
    """Runs that touch become one. starts ascend and runs don't overlap."""
    begins = np.ones(len(starts), bool)
    np.not_equal(starts[1:], starts[:-1] + lengths[:-1], out=begins[1:])
    if begins.all():
        return RunLengths(starts, lengths)
    firsts = np.flatnonzero(begins)
    return RunLengths(starts[firsts], np.add.reduceat(lengths, firsts))


def parse_run_lengths(text: str) -> RunLengths:
    """What a row's text says, in its order; nothing is checked but the numbers. Raises ValueError: what is wrong with it."""
    words = text.split()
    strange = next((word for word in words if not word.isascii() or not word.isdigit() or len(word) > 15), None)
    if strange is not None:
        raise ValueError(f"{strange[:20]!r} is no number of 1 or more")
    if len(words) % 2:
        raise ValueError(f"{len(words)} numbers: pairs of start and length are due")
    numbers = np.array(words, np.int64)
    if not numbers.all():
        raise ValueError("a 0: starts count from 1, and no run is empty")
    return RunLengths(numbers[::2] - 1, numbers[1::2])


def in_order(runs: RunLengths) -> RunLengths:
    """The same places as disjoint runs in ascending order, whatever order and overlaps runs has."""
    order = np.argsort(runs.starts, kind="stable")
    starts, ends = runs.starts[order], runs.ends[order]
    reached = np.maximum.accumulate(ends) if len(ends) else ends
    begins = np.ones(len(starts), bool)
    begins[1:] = starts[1:] > reached[:-1]
    firsts = np.flatnonzero(begins)
    lasts = np.append(firsts[1:], len(starts)) - 1 if len(firsts) else firsts
    return RunLengths(starts[firsts], reached[lasts] - starts[firsts])


def labels_of_runs(runs: RunLengths, height: int, width: int) -> np.ndarray:
    """(H, W) uint8 label map of runs that lie within the stack; of several classes on a pixel the highest stays."""
    labels = np.zeros(height * width, np.uint8)
    for start, end in zip(runs.starts.tolist(), runs.ends.tolist(), strict=True):
        while start < end:
            plane, pixel = divmod(start, labels.size)
            length = min(end - start, labels.size - pixel)
            labels[pixel : pixel + length] = plane + 1
            start += length
    return labels.reshape(height, width)


def overlap_length(first: RunLengths, second: RunLengths) -> int:
    """How many places both cover. Both disjoint and ascending."""
    if not len(first.starts) or not len(second.starts):
        return 0
    return int((_covered(first, second.ends) - _covered(first, second.starts)).sum())


def _covered(runs: RunLengths, places: np.ndarray) -> np.ndarray:
    """How many places before each of these runs covers."""
    before = np.searchsorted(runs.starts, places, side="right") - 1  # the last run that starts at or before the place
    whole = np.append(0, np.cumsum(runs.lengths))
    inside = np.minimum(places - runs.starts[before], runs.lengths[before])
    covered: np.ndarray = np.where(before < 0, 0, whole[before] + inside)
    return covered


def by_plane(runs: RunLengths, plane: int) -> list[RunLengths]:
    """The runs within each of the 20 planes of so many places, cut where they go over a plane's end; starts from 0."""
    edges = np.arange(1, NUM_CLASSES) * plane
    cut = (
        edges[(_covered(runs, edges + 1) > _covered(runs, edges)) & ~np.isin(edges, runs.starts)]
        if len(runs.starts)
        else edges[:0]
    )
    starts = np.sort(np.concatenate([runs.starts, cut]))
    ends = np.sort(np.concatenate([runs.ends, cut]))
    planes = starts // plane
    return [
        RunLengths(starts[planes == one] - one * plane, (ends - starts)[planes == one]) for one in range(NUM_CLASSES)
    ]
