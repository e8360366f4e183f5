"""Choose the runs and checkpoints of a submission by their Dice on the validation images."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vocctl.competition.ensemble import EnsembleSpec, NewCounter, common_validation_splits, run_config
from vocctl.competition.leakage import LeakageCheck
from vocctl.competition.subtasks import Subtask
from vocctl.competition.test_set import open_test_set
from vocctl.config import CHECKPOINTS
from vocctl.errors import DataError
from vocctl.files import is_number, read_json
from vocctl.runs.find import RUNS, find_run
from vocctl.runs.folder import RunFolder

VALIDATION_DICE = "validation_dice.json"  # in a run folder: checkpoint -> mean Dice on its validation images


def choose_runs(
    subtask: Subtask, names: Sequence[str], leakage: LeakageCheck, device: str | None, new_counter: NewCounter
) -> tuple[tuple[RunFolder, ...], list[str]]:
    """Return the named runs; without names the best one, and the reason for it.

    The best run is the one with the highest Dice, of all finished runs that were trained on the competition's data and did
    not use its test images. Raises DataError: no such run.
    """
    if names:
        return tuple(find_run(name, subtask.kind.task) for name in names), []
    candidates = _candidates(subtask, leakage)
    if len(candidates) == 1:
        root = leakage.test_set.source.root
        return (candidates[0],), [f"{subtask.name}: {candidates[0].path}, the only finished run on {root}"]
    scores = {}
    for run in candidates:
        spec = EnsembleSpec(runs=(run,), checkpoint="best", tta="none", device=device)
        scores[run.path] = max(validation_dice(subtask, spec, new_counter).values())
    best = max(candidates, key=lambda run: scores[run.path])
    others = ", ".join(f"{path.name} {100 * score:.1f}" for path, score in scores.items() if path != best.path)
    dice = 100 * scores[best.path]
    return (best,), [f"{subtask.name}: {best.path}, Dice {dice:.1f} on its validation images (others: {others})"]


def _candidates(subtask: Subtask, leakage: LeakageCheck) -> list[RunFolder]:
    """The finished runs on the competition's data without leakage. Raises DataError: there are none."""
    folder, root = RUNS / subtask.kind.folder, leakage.test_set.root
    finished = [run for run in map(RunFolder, sorted(folder.glob("*"))) if _is_finished(run, subtask)]
    same_data = [run for run in finished if _data_root(run) == root]
    candidates = [run for run in same_data if leakage.allow or not leakage.leaked_images(run)]
    if candidates:
        return candidates
    source_root = leakage.test_set.source.root
    rejected = []
    if same_data:
        rejected.append(f"{len(same_data)} used its test images")
    if len(finished) > len(same_data):
        rejected.append(f"{len(finished) - len(same_data)} on other data, which {subtask.flag} accepts")
    reasons = f" ({', '.join(rejected)})" if rejected else ""
    raise DataError(
        f"{folder}/ has no finished run on {source_root}{reasons}: `vocctl {subtask.kind.task} --data {source_root}` trains one"
    )


def _data_root(run: RunFolder) -> Path:
    path = Path(run_config(run).data.path)
    try:
        return open_test_set(path).root
    except DataError:  # not found, or without a val split
        return path.resolve()


def _is_finished(run: RunFolder, subtask: Subtask) -> bool:
    return all((run.path / name).is_file() for name in subtask.run_files) and run.task == subtask.kind.task


def choose_checkpoint(subtask: Subtask, spec: EnsembleSpec, new_counter: NewCounter) -> tuple[EnsembleSpec, str]:
    """Choose the best or the final checkpoint, whichever has the higher Dice on the validation images; and the reason.

    A run's own monitor, such as mean average precision, may prefer another checkpoint than the competition's score.
    """
    if not all((run.path / "final.safetensors").is_file() for run in spec.runs):
        reason = f"{subtask.name}: best checkpoint, because not every run has a final one"
        return replace(spec, checkpoint="best"), reason
    scores = validation_dice(subtask, spec, new_counter)
    checkpoint = max(scores, key=lambda name: scores[name])
    values = ", ".join(f"{name} {100 * score:.1f}" for name, score in scores.items())
    reason = f"{subtask.name}: {checkpoint} checkpoint, by Dice on the validation images ({values})"
    return replace(spec, checkpoint=checkpoint), reason


def validation_dice(subtask: Subtask, spec: EnsembleSpec, new_counter: NewCounter) -> dict[str, float]:
    """Checkpoint -> mean Dice on the images that all runs validated on; spec's own checkpoint is not used.

    For a single run without test-time augmentation it is cached in validation_dice.json, until the weights are newer.
    """
    cacheable = len(spec.runs) == 1 and spec.tta == "none"
    if cacheable and (cached := _read_validation_dice(spec.runs[0])):
        return cached
    _, splits = common_validation_splits(spec.runs)
    scores = {}
    for checkpoint in CHECKPOINTS:
        dice = subtask.image_dice(replace(spec, checkpoint=checkpoint), splits, new_counter)
        scores[checkpoint] = float(dice.mean())
    if cacheable:
        spec.runs[0].write_json(VALIDATION_DICE, scores)
    return scores


def _read_validation_dice(run: RunFolder) -> dict[str, float]:
    """Read validation_dice.json; empty if it is missing, corrupt or older than the weights."""
    path, weights = run.path / VALIDATION_DICE, [run.path / f"{name}.safetensors" for name in CHECKPOINTS]
    if not path.is_file() or any(file.is_file() and file.stat().st_mtime > path.stat().st_mtime for file in weights):
        return {}
    try:
        scores: dict[str, float] = read_json(path)
    except (OSError, ValueError):
        return {}
    is_valid = scores.keys() == set(CHECKPOINTS) and all(is_number(dice) and 0 <= dice <= 1 for dice in scores.values())
    return scores if is_valid else {}
