"""The score that the competition would give a csv, offline."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocctl.competition.ensemble import Steps
from vocctl.competition.score import Score, score
from vocctl.competition.table import read_table
from vocctl.competition.test_set import ground_truths, ground_truths_from, open_test_set
from vocctl.errors import DataError
from vocctl.metrics.bootstrap import interval, resampled

RESAMPLES = 1000


@dataclass(frozen=True)
class OfflineScore:
    score: Score
    interval: tuple[float, float]  # 95 % of joint, over bootstrap draws of the images


def score_file(file: Path, *, truth: Path, data: Path | None, steps: Steps) -> OfflineScore:
    """truth: a rehearsal's folder, or a VOC tree, whose Segmentation/val is the test part. data: the competition's folder;
    then the truth's images are matched to its test images by what they show.

    Raises DataError: the file is no submission, or of other images than the truth.
    """
    rows = read_table(file)
    if data is None or data.resolve() == truth.resolve():
        known = ground_truths(open_test_set(truth))
    else:
        known = ground_truths_from(open_test_set(data), truth, steps("comparing", "images"))
    if not rows:
        raise DataError(f"{file} has no rows: `vocctl submit --check {file}` says what is due")
    found = score(rows, known)
    images = np.array(list(found.per_image.values())).mean(axis=1)
    drawn = resampled(lambda counts: {"joint": float((images * counts).sum() / len(images))}, len(images), RESAMPLES, 0)
    return OfflineScore(found, interval(drawn["joint"]))
