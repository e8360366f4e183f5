"""The competition's score of a submission.

Source: the H02A5a competition. The score of a row is the Dice of two sets, 2 |X n Y| / (|X| + |Y|): sets of classes, or of
(pixel, class) pairs. The score of the submission is the mean over all rows, which is the mean of the mean classification
and the mean segmentation Dice, because every image has one row of each kind. Two empty sets score 1 by convention, one
empty set scores 0, and a missing row counts as an empty one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vocctl.competition.ground_truth import GroundTruth
from vocctl.competition.rle import (
    NUM_CLASSES,
    RunLengths,
    encode_classes,
    encode_label_map,
    intersection_size,
    parse_run_lengths,
    split_by_class,
    union_of_runs,
)
from vocctl.competition.table import row_names
from vocctl.errors import DataError
from vocctl.labels import CLASSES


@dataclass(frozen=True)
class Score:
    """Dice in [0, 1]; NaN for a class that is neither in the ground truth nor in the file."""

    joint: float
    classification: float
    segmentation: float
    per_image: dict[str, tuple[float, float]]  # Id -> Dice of its classification and of its segmentation
    class_dice: dict[str, float]  # class -> 2 TP / (2 TP + FP + FN), counted over images
    pixel_dice: dict[str, float]  # class -> the same, counted over the pixels of all images
    missing_rows: int

    def worst(self, count: int) -> list[str]:
        """Return the ids of the images with the lowest mean of both Dice, the lowest first."""
        return sorted(self.per_image, key=lambda csv_id: sum(self.per_image[csv_id]))[:count]


def dice(predicted: RunLengths, truth: RunLengths) -> float:
    """Return 2 |X n Y| / (|X| + |Y|) of the ones of two vectors; 1 if both are empty."""
    total = predicted.num_ones + truth.num_ones
    return 2 * intersection_size(predicted, truth) / total if total else 1.0


def score(rows: Mapping[str, str], truths: Sequence[GroundTruth]) -> Score:
    """Score the rows of a file, name -> run lengths. Raises DataError: invalid run lengths, or rows of other images."""
    names = row_names([truth.csv_id for truth in truths])
    if unknown := [name for name in rows if name not in set(names)]:
        raise DataError(
            f"the ground truth has no {unknown[0]} (and {len(unknown) - 1} more): give the ground truth of these images"
        )
    per_image = {}
    intersections, sizes = np.zeros((2, NUM_CLASSES)), np.zeros((2, NUM_CLASSES))  # row kind, class
    for truth in truths:
        encoded = ((encode_classes(truth.classes), 1), (encode_label_map(truth.mask), truth.mask.size))
        values = []
        for kind, (name, (expected, plane_size)) in enumerate(zip(row_names([truth.csv_id]), encoded, strict=True)):
            predicted = _parse_row(rows.get(name, ""), name, NUM_CLASSES * plane_size)
            values.append(dice(predicted, expected))
            by_class = zip(split_by_class(predicted, plane_size), split_by_class(expected, plane_size), strict=True)
            for label, (predicted_plane, expected_plane) in enumerate(by_class):
                intersections[kind, label] += intersection_size(predicted_plane, expected_plane)
                sizes[kind, label] += predicted_plane.num_ones + expected_plane.num_ones
        per_image[truth.csv_id] = (values[0], values[1])
    means = np.array(list(per_image.values())).mean(axis=0)
    with np.errstate(invalid="ignore"):  # 0 / 0: the class is absent
        dice_by_class = [dict(zip(CLASSES, row.tolist(), strict=True)) for row in 2 * intersections / sizes]
    return Score(
        joint=float(means.mean()),
        classification=float(means[0]),
        segmentation=float(means[1]),
        per_image=per_image,
        class_dice=dice_by_class[0],
        pixel_dice=dice_by_class[1],
        missing_rows=len(set(names) - rows.keys()),
    )


def _parse_row(text: str, name: str, vector_length: int) -> RunLengths:
    """Parse into disjoint runs: Kaggle scores the set of indices, in whatever order the runs are."""
    try:
        runs = union_of_runs(parse_run_lengths(text))
    except ValueError as error:
        raise DataError(f"{name} is invalid: {error}; `vocctl submit --check` lists all errors") from error
    if len(runs.starts) and runs.ends[-1] > vector_length:
        raise DataError(
            f"{name} ends at {runs.ends[-1]}, beyond {vector_length}; `vocctl submit --check` lists all errors"
        )
    return runs
