"""Which runs there are: task, data, what differs from the defaults, score, when; newest first."""

from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path

from vocctl.errors import DataError, VocctlError
from vocctl.reporting.class_scores import class_scores_mean
from vocctl.reporting.config_diff import diff_from_default
from vocctl.runs.evaluations import MAIN_SCORE, SCORE_NAMES, RunRecord, read_run
from vocctl.runs.find import RUNS


@dataclass(frozen=True)
class RunSummary:
    path: Path
    task: str
    data: str
    differs: str  # from the task's defaults, in words
    seed: int | None
    score: float | None  # in [0, 1]; None: undefined, or none yet
    score_name: str
    scored_on: str  # the evaluation, or "validation" while training
    started: str  # ISO, UTC
    problem: str = ""  # why the rest is empty


def list_runs(folder: Path | None = None) -> list[RunSummary]:
    """Runs in the folder and in the folders in it. Raises DataError: no such folder."""
    folder = folder or RUNS
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: train a run first, or name the folder that holds yours")
    found = sorted({path.parent for pattern in ("*/run.json", "*/*/run.json") for path in folder.glob(pattern)})
    return sorted((_listed(path) for path in found), key=lambda run: (run.started, str(run.path)), reverse=True)


def _listed(path: Path) -> RunSummary:
    try:
        run = read_run(str(path))
        about = run.folder.info()
        score, where = _score(run)
        data = Path(run.settings["path"]).name
        name = SCORE_NAMES[MAIN_SCORE[run.task]]
        started = str(about.get("started", ""))
        return RunSummary(
            path, run.task, data, diff_from_default(run), run.settings["seed"], score, name, where, started
        )
    except VocctlError as error:
        return RunSummary(path, "-", "-", "", None, None, "-", "-", "", problem=str(error))


def _score(run: RunRecord) -> tuple[float | None, str]:
    if run.evaluation is not None:
        score, where = class_scores_mean(run.evaluation), run.evaluation.name
    else:
        try:
            score, where = float(run.best.get(MAIN_SCORE[run.task], nan)), "validation"
        except DataError:
            return None, "no epoch yet"
    return None if isnan(score) else score, where
