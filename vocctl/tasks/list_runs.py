"""`vocctl runs`: list runs with their data, the settings that differ from the defaults, and their score, newest first."""

from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path

from vocctl.errors import DataError, VocctlError
from vocctl.reporting.config_diff import diff_from_default
from vocctl.runs.find import RUNS
from vocctl.runs.records import RunRecord, read_run


@dataclass(frozen=True)
class RunSummary:
    path: Path
    task: str
    data: str  # name of the data set's folder
    changed_settings: str  # settings that differ from the task's defaults, as text
    seed: int | None
    score: float | None  # main score in [0, 1]; None: undefined, or not scored yet
    score_name: str
    scored_on: str  # name of the evaluation, "validation" for a score from training, or "no epoch yet"
    started: str  # ISO 8601, UTC
    problem: str = (
        ""  # why the run cannot be read; then the other fields, except path, are placeholders. "": it can be read
    )


def list_runs(folder: Path | None = None) -> list[RunSummary]:
    """Summarize the runs in folder/*/ and folder/*/*/; folder None: runs/. Raises DataError: no such folder."""
    folder = folder or RUNS
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: train a run first, or name the folder that holds your runs")
    paths = {path.parent for pattern in ("*/run.json", "*/*/run.json") for path in folder.glob(pattern)}
    summaries = [_summarize(path) for path in sorted(paths)]
    return sorted(summaries, key=lambda run: (run.started, str(run.path)), reverse=True)


def _summarize(path: Path) -> RunSummary:
    try:
        run = read_run(str(path))
        score, scored_on = _main_score(run)
        return RunSummary(
            path=path,
            task=run.kind.task,
            data=Path(run.settings["path"]).name,
            changed_settings=diff_from_default(run),
            seed=run.settings["seed"],
            score=score,
            score_name=run.kind.main_metric.title,
            scored_on=scored_on,
            started=str(run.folder.info().get("started", "")),
        )
    except VocctlError as error:
        return RunSummary(
            path=path, task="-", data="-", changed_settings="", seed=None, score=None, score_name="-", scored_on="-", started="",
            problem=str(error),
        )  # fmt: skip


def _main_score(run: RunRecord) -> tuple[float | None, str]:
    """Return the score, and what it was measured on."""
    if run.evaluation is not None:
        score, scored_on = run.evaluation.main_score, run.evaluation.info.name
    else:
        try:
            score, scored_on = float(run.best.get(run.kind.main_metric.key, nan)), "validation"
        except DataError:
            return None, "no epoch yet"
    return None if isnan(score) else score, scored_on
