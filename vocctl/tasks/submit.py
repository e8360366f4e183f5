"""From trained runs to a submission's csv, with the score to expect of it.

Runs that are not named are picked: of the finished ones that were trained on this data set, and have not seen its test
images, the best of each kind by its half of the score on the images that it held out.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vocctl.competition import submission_log, test_set
from vocctl.competition.editions import ALIAS, slug_of
from vocctl.competition.ensemble import EnsembleSpec, Steps
from vocctl.competition.leakage import LeakageCheck, config_of
from vocctl.competition.rle import encode_classes, encode_label_map
from vocctl.competition.table import FormatError, RequiredRow, check_file, merge, write_table
from vocctl.competition.test_set import KAGGLE_INPUT, TestSet, expected_names, find_data, open_test_set
from vocctl.competition.validation import (
    ExpectedScore,
    estimate_score,
    predict_test_set,
    select_checkpoints,
    validation_dice,
)
from vocctl.config import check_checkpoint, check_tta
from vocctl.data.source import Source
from vocctl.errors import ConfigError, DataError, RunError
from vocctl.files import to_json
from vocctl.runs.find import RUNS, find_run
from vocctl.runs.folder import RunFolder

TASKS = {"cls": "train-cls", "seg": "train-seg"}
KAGGLE_WORKING = Path("/kaggle/working")


@dataclass(frozen=True)
class Submission:
    """A csv that is ready to be uploaded."""

    file: Path
    images: int
    competition: str  # the slug
    picked: tuple[str, ...]  # which runs and why, a line each
    expected: ExpectedScore
    notes: tuple[str, ...]  # test images that were seen, weights from VOC
    in_notebook: bool  # of Kaggle, which submits the file itself


def prepare(
    *,
    competition: str | None,
    data: Path | None,
    cls: Sequence[str],
    seg: Sequence[str],
    checkpoint: str | None = None,
    tta: str = "none",
    device: str | None = None,
    out: Path | None = None,
    allow_test_images: bool = False,
    steps: Steps,
) -> Submission:
    """Pick runs, measure them, predict the test images, write the csv and a line in submissions.jsonl.

    competition: None: the newest edition. cls, seg: names of runs, several are an ensemble; none: the best is picked.
    checkpoint: best or final; None: of each kind what scores more on the held-out images. out: in place of runs/submit/.
    Raises ConfigError (flags, runs that have seen test images), DataError (runs, data, weights) and RunError (disk).
    """
    check_checkpoint(checkpoint or "best")
    check_tta(tta)
    slug = slug_of(competition or ALIAS)
    images = open_test_set(find_data(data, competition or ALIAS))
    if out is not None and out.exists():
        raise ConfigError(f"{out} is there already: choose another --out")
    guard = LeakageCheck(images, allow_test_images, steps("comparing", "images"))
    chosen: dict[str, tuple[RunFolder, ...]] = {}
    picked: list[str] = []
    for kind, names in (("cls", cls), ("seg", seg)):
        named = tuple(find_run(name, TASKS[kind]) for name in names)
        if not named:
            best, why = _best_run(kind, images, guard, device, steps)
            named = (best,)
            picked.append(why)
        chosen[kind] = named
    every = [*chosen["cls"], *chosen["seg"]]
    guard.refuse(every)
    guard.flag_voc_weights(every)
    if checkpoint is None:
        runs, reasons = select_checkpoints(EnsembleSpec(chosen["cls"], chosen["seg"], tta, device), steps)
        picked += reasons
    else:
        runs = EnsembleSpec(chosen["cls"], chosen["seg"], tta, device, checkpoint, checkpoint)
    expected, decisions = estimate_score(runs, steps)
    rows: dict[str, str] = {}
    due: dict[str, RequiredRow] = {}
    for index, classes, labels in predict_test_set(runs, images, decisions, steps):
        number = images.numbers[index]
        for half, found in (("classification", encode_classes(classes)), ("segmentation", encode_label_map(labels))):
            rows[f"{number}_{half}"] = str(found)
            due[f"{number}_{half}"] = RequiredRow(f"{number}_{half}", *labels.shape)
    names = expected_names(images)
    file = out or _free_file(images.source, runs)
    write_table(file, [(name, rows[name]) for name in names])
    if faults := check_file(file, [due[name] for name in names]):
        raise RunError(f"{file}, line {faults[0].line}: {faults[0].reason}; this is a fault of vocctl, report it")
    prepared = Submission(
        file=file, images=len(images.numbers), competition=slug, picked=tuple(picked), expected=expected,
        notes=tuple(guard.notes), in_notebook=KAGGLE_INPUT.is_dir(),
    )  # fmt: skip
    submission_log.append_record(_record(prepared, images, runs))
    return prepared


def _record(prepared: Submission, images: TestSet, runs: EnsembleSpec) -> dict[str, Any]:
    return {
        "file": str(prepared.file),
        "sha256": submission_log.file_hash(prepared.file),
        "competition": prepared.competition,
        "data": str(images.source.root),
        "cls": [str(run.path) for run in runs.cls],
        "seg": [str(run.path) for run in runs.seg],
        "cls_checkpoint": runs.cls_checkpoint,
        "seg_checkpoint": runs.seg_checkpoint,
        "tta": runs.tta,
        "expected": to_json({key: value for key, value in asdict(prepared.expected).items() if key != "rules"}),
        "rules": to_json([asdict(rule) for rule in prepared.expected.rules]),
        "notes": list(prepared.notes),
        "status": "written",
    }


def _free_file(source: Source, runs: EnsembleSpec) -> Path:
    if KAGGLE_INPUT.is_dir():
        return KAGGLE_WORKING / "submission.csv"  # where Kaggle looks for it
    more = {
        kind: f"+{len(group) - 1}" if len(group) > 1 else "" for kind, group in (("cls", runs.cls), ("seg", runs.seg))
    }
    name = f"{source.name}-{runs.cls[0].path.name}{more['cls']}-{runs.seg[0].path.name}{more['seg']}"
    number, path = 1, submission_log.FOLDER / f"{name}.csv"
    while path.exists():
        number += 1
        path = submission_log.FOLDER / f"{name}-{number}.csv"
    return path


def _best_run(
    kind: str, images: TestSet, guard: LeakageCheck, device: str | None, steps: Steps
) -> tuple[RunFolder, str]:
    """The best run of the kind and why. Raises DataError: there is none."""
    candidates, elsewhere, spoilt = [], 0, 0
    for path in sorted((RUNS / kind).glob("*")):
        run = RunFolder(path)
        if not _is_finished(run, kind):
            continue
        if not guard.allow and _trained_on(run) == images.root and guard.test_images_of(run):
            spoilt += 1
        elif _trained_on(run) == images.root:
            candidates.append(run)
        else:
            elsewhere += 1
    word = "classification" if kind == "cls" else "segmentation"
    if not candidates:
        others = f" ({elsewhere} on other data: name one with --{kind})" if elsewhere else ""
        seen = f" ({spoilt} have seen its test images)" if spoilt else ""
        raise DataError(
            f"{RUNS / kind}/ holds no finished run on {images.source.root}{seen}{others}: "
            f"`vocctl {TASKS[kind]} --data {images.source.root}` trains one"
        )
    if len(candidates) == 1:
        return candidates[0], f"{word}: {candidates[0].path}, the only finished run on {images.source.root}"
    scores = {}
    for run in candidates:
        alone = EnsembleSpec((run,), (), "none", device) if kind == "cls" else EnsembleSpec((), (run,), "none", device)
        scores[run.path] = max(validation_dice(kind, alone, steps).values())
    best = max(candidates, key=lambda run: scores[run.path])
    others = ", ".join(f"{path.name} {100 * score:.1f}" for path, score in scores.items() if path != best.path)
    return best, f"{word}: {best.path}, Dice {100 * scores[best.path]:.1f} on its held-out images (others: {others})"


def _is_finished(run: RunFolder, kind: str) -> bool:
    needed = ("run.json", "split.json", "final.safetensors", *(("thresholds.json",) if kind == "cls" else ()))
    return all((run.path / name).is_file() for name in needed) and run.task == TASKS[kind]


def _trained_on(run: RunFolder) -> Path:
    try:
        return open_test_set(Path(config_of(run).data.path)).root
    except DataError:  # its data are gone, or have no val
        return Path(config_of(run).data.path).resolve()


def check_submission_file(
    file: Path, *, competition: str | None, data: Path | None, steps: Steps
) -> tuple[list[FormatError], int]:
    """All that is wrong with a csv, and how many rows are due. competition: None: the one that it was written for."""
    if competition is None and data is None and file.is_file():
        competition, data = _written_for(file)
    images = open_test_set(find_data(data, competition or ALIAS))
    due = test_set.expected_rows(images, steps("measuring", "images"))
    return check_file(file, due), len(due)


def _written_for(file: Path) -> tuple[str, Path | None]:
    """The competition of the csv, and the data that it was written from where they are still there."""
    try:
        record = submission_log.latest_record(file)
    except DataError:  # the log can't be read, and a check doesn't need it
        return ALIAS, None
    data = Path(str(record.get("data") or ""))
    return submission_log.competition_of(record), data if record.get("data") and data.is_dir() else None


def merged(cls: Path, seg: Path, *, data: Path | None, out: Path | None) -> Path:
    """One csv of two halves, in the order of the data set's rows where it is named. Raises ConfigError: out is there."""
    names = expected_names(open_test_set(data)) if data is not None else None
    rows = merge(cls, seg, names)
    file = out or cls.with_name(f"{cls.stem}+{seg.stem}.csv")
    if file.exists():
        raise ConfigError(f"{file} is there already: choose another --out")
    write_table(file, rows)
    return file
