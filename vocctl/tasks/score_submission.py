"""The score that the competition would give a csv, offline."""

from pathlib import Path

from vocctl.errors import DataError
from vocctl.submission.score import Score, score
from vocctl.submission.table import read_table
from vocctl.tasks.joint import Steps
from vocctl.tasks.unseen import open_unseen, truths, truths_from


def score_file(file: Path, *, truth: Path, data: Path | None, steps: Steps) -> Score:
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
    return score(rows, known)
