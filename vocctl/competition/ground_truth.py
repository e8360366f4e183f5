"""The ground truth of the test images: from the solution of a mock competition, or from the masks of a VOC devkit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocctl.competition.test_set import OnImage, TestSet
from vocctl.data.competition import void_to_background
from vocctl.data.near_duplicates import image_fingerprints, match_images
from vocctl.data.source import Source, open_dataset
from vocctl.errors import DataError


@dataclass(frozen=True)
class GroundTruth:
    """The classes and the mask of one image."""

    csv_id: str  # its Id in test_set.csv
    classes: np.ndarray  # (20,) bool
    mask: np.ndarray  # (H, W) uint8, 0..20; IGNORE counts as background


def ground_truths(test_set: TestSet) -> list[GroundTruth]:
    """Read the ground truth in the test set's own folder. Raises DataError: the competition's folder without a solution."""
    return _ground_truths(test_set.source, test_set.csv_ids, test_set.image_ids)


def ground_truths_from_devkit(test_set: TestSet, devkit: Path, on_image: OnImage | None = None) -> list[GroundTruth]:
    """Read the ground truth from a VOC devkit, whose images are matched to the test images by content.

    Raises DataError: not a devkit, or test images that are not in its Segmentation/val.
    """
    source = open_dataset(devkit)
    if not source.has_public_test_masks:
        raise DataError(
            f"{devkit} is a competition's folder: with --data, --truth takes a VOC devkit; or leave out --data"
        )
    ids = source.ids(source.test_split)
    test_prints = image_fingerprints(test_set.source, test_set.image_ids, on_image)
    matches = match_images(test_prints, image_fingerprints(source, ids, on_image))
    matched = [ids[index] for index in matches if index is not None]
    if len(matched) < len(matches):
        missing = test_set.csv_ids[matches.index(None)]
        raise DataError(
            f"{devkit}: {len(matches) - len(matched)} of the {len(matches)} test images are not in its Segmentation/val (Id "
            f"{missing}, for example): give the devkit that the competition was made from, VOC2009"
        )
    return _ground_truths(source, test_set.csv_ids, matched)


def _ground_truths(source: Source, csv_ids: Sequence[str], image_ids: Sequence[str]) -> list[GroundTruth]:
    return [
        GroundTruth(csv_id, classes, void_to_background(mask))
        for csv_id, (classes, mask) in zip(csv_ids, source.test_truth(image_ids), strict=True)
    ]
