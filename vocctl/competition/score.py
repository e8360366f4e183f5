"""The competition's score of a submission against a truth, row by row.

Source: the H02A5a competition. A row's score is the Dice of two sets, 2 |X n Y| / (|X| + |Y|): of classes, or of pixels with
their class. The score is the mean over all rows; both halves have a row of each image, so it is the mean of their means.
Both sets empty: 1 by the usual convention; one of them empty: 0. A row that the file lacks counts as an empty one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vocctl.competition.rle import (
    NUM_CLASSES,
    RunLengths,
    by_plane,
    encode_classes,
    encode_label_map,
    in_order,
    overlap_length,
    parse_run_lengths,
)
from vocctl.competition.table import HALVES
from vocctl.errors import DataError
from vocctl.labels import CLASSES


@dataclass(frozen=True)
class GroundTruth:
    """Of one image."""

    number: str  # the Id before the half's name
    classes: np.ndarray  # (20,) bool
    mask: np.ndarray  # (H, W) uint8, 0..20; IGNORE is background


@dataclass(frozen=True)
class Score:
    """Shares in [0, 1]; nan where a class is neither in the truth nor in the file."""

    joint: float
    classification: float
    segmentation: float
    per_image: dict[str, tuple[float, float]]  # Id -> Dice of its classification and of its segmentation
    class_dice: dict[str, float]  # 2 TP / (2 TP + FP + FN) of images that hold the class
    pixel_dice: dict[str, float]  # the same of pixels, over all images
    lacking: int  # rows that the file has not

    def worst(self, count: int) -> list[str]:
        """Ids of the images with the lowest mean of both halves."""
        return sorted(self.per_image, key=lambda number: sum(self.per_image[number]))[:count]


def dice(predicted: RunLengths, truth: RunLengths) -> float:
    """2 |X n Y| / (|X| + |Y|) of the places that two rows cover; both empty: 1."""
    total = predicted.total + truth.total
    return 2 * overlap_length(predicted, truth) / total if total else 1.0


def score(rows: Mapping[str, str], truths: Sequence[GroundTruth]) -> Score:
    """rows: name -> runs, as the file has them. Raises DataError: runs that are no runs, or rows of unknown images."""
    known = {f"{truth.number}_{half}" for truth in truths for half in HALVES}
    if strange := [name for name in rows if name not in known]:
        raise DataError(
            f"the truth has no {strange[0]} (and {len(strange) - 1} more): name the truth of the same images"
        )
    per_image = {}
    shares, sizes = np.zeros((2, NUM_CLASSES)), np.zeros((2, NUM_CLASSES))  # halves, classes
    for truth in truths:
        pixels = truth.mask.size
        halves = ((encode_classes(truth.classes), 1), (encode_label_map(truth.mask), pixels))
        values = []
        for place, (half, (wanted, plane)) in enumerate(zip(HALVES, halves, strict=True)):
            name = f"{truth.number}_{half}"
            found = _runs(rows.get(name, ""), name, NUM_CLASSES * plane)
            values.append(dice(found, wanted))
            for label, (mine, due) in enumerate(zip(by_plane(found, plane), by_plane(wanted, plane), strict=True)):
                shares[place, label] += 2 * overlap_length(mine, due)
                sizes[place, label] += mine.total + due.total
        per_image[truth.number] = (values[0], values[1])
    means = np.array(list(per_image.values())).mean(axis=0)
    with np.errstate(invalid="ignore"):
        by_class = [dict(zip(CLASSES, row.tolist(), strict=True)) for row in shares / sizes]
    return Score(
        joint=float(means.mean()),
        classification=float(means[0]),
        segmentation=float(means[1]),
        per_image=per_image,
        class_dice=by_class[0],
        pixel_dice=by_class[1],
        lacking=len(known - rows.keys()),
    )


def _runs(text: str, name: str, places: int) -> RunLengths:
    """Disjoint runs within the row's vector: Kaggle's score is of a set of places, in whatever order they come."""
    try:
        runs = in_order(parse_run_lengths(text))
    except ValueError as error:
        raise DataError(f"{name} holds {error}: `vocctl submit --check` lists every fault") from error
    if len(runs.starts) and runs.ends[-1] > places:
        raise DataError(f"{name} goes on past {places}: `vocctl submit --check` lists every fault")
    return runs
