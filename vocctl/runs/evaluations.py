"""Find and open the evaluations of a run, RUN/eval/<name>/. Nothing is computed again."""

import re
from collections.abc import Sequence
from pathlib import Path

from vocctl.config import did_you_mean
from vocctl.errors import DataError
from vocctl.files import read_json
from vocctl.runs.cls_evaluation import ClsEvaluation
from vocctl.runs.find import free_name
from vocctl.runs.kinds import SEG, RunKind
from vocctl.runs.seg_evaluation import SegEvaluation

Evaluation = SegEvaluation | ClsEvaluation


def evaluation_folders(run: Path) -> dict[str, Path]:
    """RUN/eval/<name> by name, evaluations of ensembles included."""
    return {path.parent.name: path.parent for path in sorted((run / "eval").glob("*/scores.json"))}


def new_evaluation_folder(
    runs: Sequence[Path], *, data: str, split: str, data_path: Path, fingerprint: str, checkpoint: str, tta: str,
    thresholds: str | None,
) -> Path:  # fmt: skip
    """The folder of an evaluation in the first run's eval/: DATA-SPLIT, and what differs from a plain evaluation.

    The same evaluation again gets the same folder, also if run and data were moved. If that name holds one of another data
    set or ensemble, a number follows.
    runs: one, or the members of an ensemble. thresholds: None: the run's own.
    """
    parts = [
        data, split, checkpoint if checkpoint != "best" else "", tta if tta != "none" else "", thresholds or "",
        "ensemble" if len(runs) > 1 else "",
    ]  # fmt: skip
    name = "-".join(filter(None, parts))

    def is_same(folder: Path) -> bool:
        try:
            values = read_json(folder / "scores.json")
            path = Path(values["data_path"])
            is_same_data = path.resolve() == data_path.resolve() or (
                values["fingerprint"] == fingerprint and not path.exists()
            )
            members = [Path(member).resolve() for member in values.get("members", ())]
        except (OSError, LookupError, ValueError, TypeError):
            return True  # it holds no evaluation that can be read
        return is_same_data and (len(runs) == 1 or members == [run.resolve() for run in runs])

    return free_name(runs[0] / "eval", name, is_same=is_same)


def newest_common_evaluation(runs: Sequence[Path]) -> str | None:
    """Name of the first run's newest evaluation that all runs have on the same images, without those of ensembles."""
    folders = [evaluation_folders(run) for run in runs]
    for name in _newest_first(runs[0]):
        if all(name in known for known in folders) and len({_fingerprint(known[name]) for known in folders}) == 1:
            return name
    return None


def _fingerprint(folder: Path) -> str | None:
    """The fingerprint of the images that an evaluation scored. None: scores.json cannot be read."""
    try:
        return str(read_json(folder / "scores.json").get("fingerprint"))
    except (OSError, ValueError):
        return None


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
    folders = {
        name: path for name, path in evaluation_folders(run).items() if not re.search(r"-ensemble(-\d+)?$", name)
    }
    return sorted(folders, key=lambda name: -(folders[name] / "scores.json").stat().st_mtime)
