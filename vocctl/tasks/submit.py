"""From trained runs to a submission's csv, with the score to expect of it.

Runs that are not named are picked: of the finished ones that were trained on this data set, and have not seen its test
photos, the best of each kind by its half of the score on the photos that it held out.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vocctl.competition import submission_log, unseen
from vocctl.competition.editions import ALIAS, slug_of
from vocctl.competition.ensemble import Runs, Steps
from vocctl.competition.leakage import HeldOutCheck, config_of
from vocctl.competition.rle import runs_of_classes, runs_of_labels
from vocctl.competition.table import Due, Fault, check, merge, write_table
from vocctl.competition.test_set import KAGGLE_INPUT, Unseen, find_data, names_due, open_unseen
from vocctl.competition.validation import (
    Expected,
    halves_on_held_out,
    measure_on_held_out,
    predict_unseen,
    with_better_checkpoints,
)
from vocctl.data.source import Source
from vocctl.errors import ConfigError, DataError, RunError
from vocctl.inference.evaluation import plain, refuse_unknown
from vocctl.runs.folder import RUNS, RunFolder, find_run

TASKS = {"cls": "train-cls", "seg": "train-seg"}
KAGGLE_WORKING = Path("/kaggle/working")


@dataclass(frozen=True)
class Prepared:
    """A csv that is ready to be uploaded."""

    file: Path
    photos: int
    competition: str  # the slug
    picked: tuple[str, ...]  # which runs and why, a line each
    expected: Expected
    notes: tuple[str, ...]  # test photos that were seen, weights from VOC
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
) -> Prepared:
    """Pick runs, measure them, predict the test photos, write the csv and a line in submissions.jsonl.

    competition: None: the newest edition. cls, seg: names of runs, several are an ensemble; none: the best is picked.
    checkpoint: best or final; None: of each kind what scores more on the held-out photos. out: in place of runs/submit/.
    Raises ConfigError (flags, runs that have seen test photos), DataError (runs, data, weights) and RunError (disk).
    """
    refuse_unknown(checkpoint or "best", tta)
    slug = slug_of(competition or ALIAS)
    photos = open_unseen(find_data(data, competition or ALIAS))
    if out is not None and out.exists():
        raise ConfigError(f"{out} is there already: choose another --out")
    guard = HeldOutCheck(photos, allow_test_images, steps("comparing", "photos"))
    chosen: dict[str, tuple[RunFolder, ...]] = {}
    picked: list[str] = []
    for kind, names in (("cls", cls), ("seg", seg)):
        named = tuple(find_run(name, TASKS[kind]) for name in names)
        if not named:
            best, why = _best_run(kind, photos, guard, device, steps)
            named = (best,)
            picked.append(why)
        chosen[kind] = named
    every = [*chosen["cls"], *chosen["seg"]]
    guard.refuse(every)
    guard.flag_voc_weights(every)
    if checkpoint is None:
        runs, reasons = with_better_checkpoints(Runs(chosen["cls"], chosen["seg"], tta, device), steps)
        picked += reasons
    else:
        runs = Runs(chosen["cls"], chosen["seg"], tta, device, checkpoint, checkpoint)
    expected, decisions = measure_on_held_out(runs, steps)
    rows: dict[str, str] = {}
    due: dict[str, Due] = {}
    for index, classes, labels in predict_unseen(runs, photos, decisions, steps):
        number = photos.numbers[index]
        for half, found in (("classification", runs_of_classes(classes)), ("segmentation", runs_of_labels(labels))):
            rows[f"{number}_{half}"] = str(found)
            due[f"{number}_{half}"] = Due(f"{number}_{half}", *labels.shape)
    names = names_due(photos)
    file = out or _free_file(photos.source, runs)
    write_table(file, [(name, rows[name]) for name in names])
    if faults := check(file, [due[name] for name in names]):
        raise RunError(f"{file}, line {faults[0].line}: {faults[0].reason}; this is a fault of vocctl, report it")
    prepared = Prepared(
        file=file, photos=len(photos.numbers), competition=slug, picked=tuple(picked), expected=expected,
        notes=tuple(guard.notes), in_notebook=KAGGLE_INPUT.is_dir(),
    )  # fmt: skip
    submission_log.note(_record(prepared, photos, runs))
    return prepared


def _record(prepared: Prepared, photos: Unseen, runs: Runs) -> dict[str, Any]:
    return {
        "file": str(prepared.file),
        "sha256": submission_log.file_hash(prepared.file),
        "competition": prepared.competition,
        "data": str(photos.source.root),
        "cls": [str(run.path) for run in runs.cls],
        "seg": [str(run.path) for run in runs.seg],
        "cls_checkpoint": runs.cls_checkpoint,
        "seg_checkpoint": runs.seg_checkpoint,
        "tta": runs.tta,
        "expected": plain({key: value for key, value in asdict(prepared.expected).items() if key != "rules"}),
        "rules": plain([asdict(rule) for rule in prepared.expected.rules]),
        "notes": list(prepared.notes),
        "status": "written",
    }


def _free_file(source: Source, runs: Runs) -> Path:
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
    kind: str, photos: Unseen, guard: HeldOutCheck, device: str | None, steps: Steps
) -> tuple[RunFolder, str]:
    """The best run of the kind and why. Raises DataError: there is none."""
    candidates, elsewhere, spoilt = [], 0, 0
    for path in sorted((RUNS / kind).glob("*")):
        run = RunFolder(path)
        if not _is_finished(run, kind):
            continue
        if not guard.allow and _trained_on(run) == photos.root and guard.test_photos_of(run):
            spoilt += 1
        elif _trained_on(run) == photos.root:
            candidates.append(run)
        else:
            elsewhere += 1
    word = "classification" if kind == "cls" else "segmentation"
    if not candidates:
        others = f" ({elsewhere} on other data: name one with --{kind})" if elsewhere else ""
        seen = f" ({spoilt} have seen its test photos)" if spoilt else ""
        raise DataError(
            f"{RUNS / kind}/ holds no finished run on {photos.source.root}{seen}{others}: "
            f"`vocctl {TASKS[kind]} --data {photos.source.root}` trains one"
        )
    if len(candidates) == 1:
        return candidates[0], f"{word}: {candidates[0].path}, the only finished run on {photos.source.root}"
    scores = {}
    for run in candidates:
        alone = Runs((run,), (), "none", device) if kind == "cls" else Runs((), (run,), "none", device)
        scores[run.path] = max(halves_on_held_out(kind, alone, steps).values())
    best = max(candidates, key=lambda run: scores[run.path])
    others = ", ".join(f"{path.name} {100 * score:.1f}" for path, score in scores.items() if path != best.path)
    return best, f"{word}: {best.path}, Dice {100 * scores[best.path]:.1f} on its held-out photos (others: {others})"


def _is_finished(run: RunFolder, kind: str) -> bool:
    needed = ("run.json", "split.json", "final.safetensors", *(("thresholds.json",) if kind == "cls" else ()))
    return all((run.path / name).is_file() for name in needed) and run.about().get("task") == TASKS[kind]


def _trained_on(run: RunFolder) -> Path:
    try:
        return open_unseen(Path(config_of(run).data.path)).root
    except DataError:  # its data are gone, or have no val
        return Path(config_of(run).data.path).resolve()


def faults_of(file: Path, *, competition: str | None, data: Path | None, steps: Steps) -> tuple[list[Fault], int]:
    """All that is wrong with a csv, and how many rows are due. competition: None: the one that it was written for."""
    if competition is None and data is None and file.is_file():
        competition, data = _written_for(file)
    photos = open_unseen(find_data(data, competition or ALIAS))
    due = unseen.rows_due(photos, steps("measuring", "photos"))
    return check(file, due), len(due)


def _written_for(file: Path) -> tuple[str, Path | None]:
    """The competition of the csv, and the data that it was written from where they are still there."""
    try:
        record = submission_log.known_of(file)
    except DataError:  # the log can't be read, and a check doesn't need it
        return ALIAS, None
    data = Path(str(record.get("data") or ""))
    return submission_log.competition_of(record), data if record.get("data") and data.is_dir() else None


def merged(cls: Path, seg: Path, *, data: Path | None, out: Path | None) -> Path:
    """One csv of two halves, in the order of the data set's rows where it is named. Raises ConfigError: out is there."""
    names = names_due(open_unseen(data)) if data is not None else None
    rows = merge(cls, seg, names)
    file = out or cls.with_name(f"{cls.stem}+{seg.stem}.csv")
    if file.exists():
        raise ConfigError(f"{file} is there already: choose another --out")
    write_table(file, rows)
    return file
