"""Find and open the evaluations of a run, RUN/eval/<name>/. Nothing is computed again."""

from collections.abc import Sequence
from pathlib import Path

from vocctl.config import did_you_mean
from vocctl.errors import DataError
from vocctl.files import read_json
from vocctl.runs.cls_evaluation import ClsEvaluation
from vocctl.runs.kinds import SEG, RunKind
from vocctl.runs.seg_evaluation import SegEvaluation

Evaluation = SegEvaluation | ClsEvaluation


def evaluation_folders(run: Path) -> dict[str, Path]:
    """RUN/eval/<name> by name, evaluations of ensembles included."""
    return {path.parent.name: path.parent for path in sorted((run / "eval").glob("*/scores.json"))}


def newest_common_evaluation(runs: Sequence[Path]) -> str | None:
    """Name of the first run's newest evaluation that all runs have; evaluations of ensembles are left out."""
    names = [set(evaluation_folders(run)) for run in runs]
    return next((name for name in _newest_first(runs[0]) if all(name in known for known in names)), None)


def open_evaluation(run: Path, kind: RunKind, name: str | None) -> Evaluation | None:
    """Open RUN/eval/<name>; without a name the newest one, None if the run has none.

    Raises DataError: no evaluation of this name, or its scores.json is missing or corrupt.
    """
    folders = evaluation_folders(run)
    if name is None:
        name = next(iter(_newest_first(run)), None)
        if name is None:
            return None
    if name not in folders:
        hint = did_you_mean(name, folders) or f": it has {', '.join(folders) or 'no evaluations'}"
        raise DataError(f"{run} has no evaluation {name!r}{hint}")
    path = folders[name] / "scores.json"
    try:
        values = read_json(path)
        return (SegEvaluation if kind is SEG else ClsEvaluation).from_json(folders[name], values)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"{path} cannot be read: run `vocctl eval {run}` again") from error


def _newest_first(run: Path) -> list[str]:
    """Names of the run's evaluations without those of ensembles."""
    folders = {name: path for name, path in evaluation_folders(run).items() if not name.endswith("-ensemble")}
    return sorted(folders, key=lambda name: -(folders[name] / "scores.json").stat().st_mtime)
