"""The score that the competition would give a csv, offline."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocctl.competition.ensemble import Steps
from vocctl.competition.score import Score, score
from vocctl.competition.table import read_table
from vocctl.competition.test_set import open_unseen, truths, truths_from
from vocctl.errors import DataError
from vocctl.metrics.bootstrap import interval, resampled

RESAMPLES = 1000


@dataclass(frozen=True)
class Scored:
    score: Score
    interval: tuple[float, float]  # 95 % of joint, over bootstrap draws of the photos


def score_file(file: Path, *, truth: Path, data: Path | None, steps: Steps) -> Scored:
    """truth: a rehearsal's folder, or a VOC tree, whose Segmentation/val is the test part. data: the competition's folder;
    then the truth's photos are matched to its test photos by what they show.

    Raises DataError: the file is no submission, or of other photos than the truth.
    """
    rows = read_table(file)
    if data is None or data.resolve() == truth.resolve():
        known = truths(open_unseen(truth))
    else:
        known = truths_from(open_unseen(data), truth, steps("comparing", "photos"))
    if not rows:
        raise DataError(f"{file} has no rows: `vocctl submit --check {file}` says what is due")
    found = score(rows, known)
    photos = np.array(list(found.per_photo.values())).mean(axis=1)
    drawn = resampled(lambda counts: {"joint": float((photos * counts).sum() / len(photos))}, len(photos), RESAMPLES, 0)
    return Scored(found, interval(drawn["joint"]))
