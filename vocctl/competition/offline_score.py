"""The score that the competition would give a csv, computed offline against a known ground truth."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocctl.competition.ensemble import NewCounter
from vocctl.competition.ground_truth import ground_truths, ground_truths_from_devkit
from vocctl.competition.score import Score, score
from vocctl.competition.table import read_table
from vocctl.competition.test_set import open_test_set
from vocctl.errors import DataError
from vocctl.metrics.bootstrap import interval, resampled

RESAMPLES = 1000


@dataclass(frozen=True)
class OfflineScore:
    score: Score
    interval: tuple[float, float]  # of the joint Dice: 95 %, from bootstrap resamples of the images


def score_file(file: Path, *, truth: Path, data: Path | None, new_counter: NewCounter) -> OfflineScore:
    """Score a csv.

    truth: the folder of a mock competition, or a VOC devkit whose Segmentation/val is the test set.
    data: the competition's folder; its test images are matched to the devkit's by content. None: truth has the test images.
    Raises DataError: file is not a submission, or has other images than truth.
    """
    rows = read_table(file)
    if data is None or data.resolve() == truth.resolve():
        truths = ground_truths(open_test_set(truth))
    else:
        truths = ground_truths_from_devkit(open_test_set(data), truth, new_counter("comparing", "images"))
    if not rows:
        raise DataError(f"{file} has no rows: `vocctl submit --check {file}` lists those expected")
    result = score(rows, truths)
    dice = np.array(list(result.per_image.values())).mean(axis=1)
    means = resampled(lambda counts: {"joint": float((dice * counts).sum() / len(dice))}, len(dice), RESAMPLES, 0)
    return OfflineScore(result, interval(means["joint"]))
