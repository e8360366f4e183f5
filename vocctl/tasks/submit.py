"""From trained runs to the csv of a submission with its expected score; and check and merge such files.

A run is refused in competition/leakage.py if it was trained or validated on test images, and in competition/ensemble.py if
there is no image that all runs of its ensemble validated on. competition/selection.py says which runs are candidates for
the best run.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vocctl.competition import submission_log
from vocctl.competition.editions import ALIAS, resolve_slug
from vocctl.competition.ensemble import EnsembleSpec, NewCounter
from vocctl.competition.format_check import FormatError, check_file, check_written_file
from vocctl.competition.leakage import LeakageCheck, voc_weight_warnings
from vocctl.competition.prediction import DecisionParams, predict_test_set
from vocctl.competition.rle import encode_classes, encode_label_map
from vocctl.competition.selection import choose_checkpoint, choose_runs
from vocctl.competition.subtasks import CLASSIFICATION, SEGMENTATION
from vocctl.competition.table import RequiredRow, merge, write_table
from vocctl.competition.test_set import (
    KAGGLE_INPUT,
    TestSet,
    expected_names,
    expected_rows,
    find_data,
    open_test_set,
)
from vocctl.competition.validation import ExpectedScore, estimate_score
from vocctl.config import TTA, Checkpoint, check_checkpoint, check_tta
from vocctl.errors import ConfigError, DataError, RunError
from vocctl.files import to_json
from vocctl.runs.find import free_name

KAGGLE_WORKING = Path("/kaggle/working")


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A csv that is ready to upload."""

    file: Path
    num_images: int
    competition: str  # slug
    choices: tuple[str, ...]  # which runs and checkpoints were chosen and why, one line each
    expected: ExpectedScore
    warnings: tuple[str, ...]  # training on test images, weights from VOC
    in_notebook: bool  # a Kaggle notebook, whose output is submitted on the website


def prepare(
    *,
    competition: str | None,
    data: Path | None,
    cls: Sequence[str],
    seg: Sequence[str],
    checkpoint: Checkpoint | None = None,
    tta: TTA = "none",
    device: str | None = None,
    out: Path | None = None,
    allow_test_images: bool = False,
    new_counter: NewCounter,
) -> Submission:
    """Choose runs, estimate their score, predict the test images, write the csv and a line of the submission log.

    competition: None: the newest edition. data: None: found as find_data does. cls, seg: names of runs, several form an
    ensemble; none: the best run is chosen. checkpoint: best or final; None: for each subtask the one with the higher Dice
    on the validation images. device: None: each run's own. out: None: a new file in runs/submit/.
    Raises ConfigError (flags; runs that used test images), DataError (runs, data, weights) and RunError (the disk).
    """
    check_checkpoint(checkpoint or "best")
    check_tta(tta)
    slug = resolve_slug(competition or ALIAS)
    test_set = open_test_set(find_data(data, competition or ALIAS))
    if out is not None and out.exists():
        raise ConfigError(f"{out} exists: choose another --out")
    leakage = LeakageCheck(test_set, allow_test_images, new_counter("comparing", "images"))
    cls_runs, cls_choices = choose_runs(CLASSIFICATION, cls, leakage, device, new_counter)
    seg_runs, seg_choices = choose_runs(SEGMENTATION, seg, leakage, device, new_counter)
    choices = [*cls_choices, *seg_choices]
    runs = (*cls_runs, *seg_runs)
    warnings = [*leakage.check(runs), *voc_weight_warnings(runs)]
    classifiers = EnsembleSpec(runs=cls_runs, checkpoint=checkpoint or "best", tta=tta, device=device)
    segmenters = replace(classifiers, runs=seg_runs)
    if checkpoint is None:
        classifiers, cls_reason = choose_checkpoint(CLASSIFICATION, classifiers, new_counter)
        segmenters, seg_reason = choose_checkpoint(SEGMENTATION, segmenters, new_counter)
        choices += [cls_reason, seg_reason]
    expected, decisions = estimate_score(classifiers, segmenters, new_counter)
    file = out or _new_file(test_set, classifiers, segmenters)
    _write_csv(file, classifiers, segmenters, test_set, decisions, new_counter)
    submission = Submission(
        file=file, num_images=len(test_set.csv_ids), competition=slug, choices=tuple(choices), expected=expected,
        warnings=tuple(warnings), in_notebook=KAGGLE_INPUT.is_dir(),
    )  # fmt: skip
    submission_log.append_record(_record(submission, test_set, classifiers, segmenters))
    return submission


def _write_csv(
    file: Path,
    classifiers: EnsembleSpec,
    segmenters: EnsembleSpec,
    test_set: TestSet,
    decisions: DecisionParams,
    new_counter: NewCounter,
) -> None:
    """Predict the test images, write the csv and check it. Raises RunError: the disk, or the csv is invalid."""
    rows: dict[str, str] = {}
    required: dict[str, RequiredRow] = {}
    for index, classes, labels in predict_test_set(classifiers, segmenters, test_set, decisions, new_counter):
        for subtask, run_lengths in (
            (CLASSIFICATION, encode_classes(classes)), (SEGMENTATION, encode_label_map(labels)),
        ):  # fmt: skip
            name = f"{test_set.csv_ids[index]}_{subtask.name}"
            rows[name] = str(run_lengths)
            required[name] = RequiredRow(name, *labels.shape)
    names = expected_names(test_set)
    write_table(file, [(name, rows[name]) for name in names])
    if errors := check_written_file(file, [required[name] for name in names]):
        raise RunError(f"{file}, line {errors[0].line}: {errors[0].reason}; this is a bug in vocctl, please report it")


def _record(
    submission: Submission, test_set: TestSet, classifiers: EnsembleSpec, segmenters: EnsembleSpec
) -> dict[str, Any]:
    """A line of the submission log."""
    expected = asdict(submission.expected)
    rules = expected.pop("rules")
    return {
        "file": str(submission.file),
        "sha256": submission_log.file_hash(submission.file),
        "competition": submission.competition,
        "data": str(test_set.source.root),
        "cls": [str(run.path) for run in classifiers.runs],
        "seg": [str(run.path) for run in segmenters.runs],
        "cls_checkpoint": classifiers.checkpoint,
        "seg_checkpoint": segmenters.checkpoint,
        "tta": classifiers.tta,
        "expected": to_json(expected),
        "rules": to_json(rules),
        "warnings": list(submission.warnings),
        "status": "written",
    }


def _new_file(test_set: TestSet, classifiers: EnsembleSpec, segmenters: EnsembleSpec) -> Path:
    """runs/submit/<data>-<runs>.csv, or with a number if that exists; in a Kaggle notebook where Kaggle expects it."""
    if KAGGLE_INPUT.is_dir():
        return KAGGLE_WORKING / "submission.csv"
    names = []
    for spec in (classifiers, segmenters):
        more = f"+{len(spec.runs) - 1}" if len(spec.runs) > 1 else ""
        names.append(spec.runs[0].path.name + more)
    return free_name(submission_log.FOLDER, "-".join([test_set.source.name, *names]), ".csv")


def check_submission(
    file: Path, *, competition: str | None, data: Path | None, new_counter: NewCounter
) -> tuple[list[FormatError], int]:
    """List the errors of a csv. Returns them and the number of rows that the competition expects.

    competition: None: the one that the file was written for, by the log. Raises DataError: no data, or not a csv.
    """
    if competition is None and data is None and file.is_file():
        competition, data = _written_for(file)
    test_set = open_test_set(find_data(data, competition or ALIAS))
    required = expected_rows(test_set, new_counter("measuring", "images"))
    return check_file(file, required), len(required)


def _written_for(file: Path) -> tuple[str, Path | None]:
    """The competition that the csv was written for, and the data, if they still exist."""
    try:
        record = submission_log.latest_record(file)
    except DataError:  # a corrupt log must not prevent a check
        return ALIAS, None
    data = Path(str(record.get("data") or ""))
    return submission_log.slug_of_record(record), data if record.get("data") and data.is_dir() else None


def merge_files(cls: Path, seg: Path, *, data: Path | None, out: Path | None) -> Path:
    """Merge the classification rows of one csv with the segmentation rows of another. Returns the new file.

    data: the competition's folder, which gives the order of the rows; None: that of cls. out: None: beside cls.
    Raises ConfigError: out exists; DataError as merge does.
    """
    names = expected_names(open_test_set(data)) if data is not None else None
    rows = merge(cls, seg, names)
    file = out or cls.with_name(f"{cls.stem}+{seg.stem}.csv")
    if file.exists():
        raise ConfigError(f"{file} exists: choose another --out")
    write_table(file, rows)
    return file
