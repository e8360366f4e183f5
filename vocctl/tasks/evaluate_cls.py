"""Score classifiers on a split: one, several as an ensemble, or two against each other.

Writes RUN/eval/<data>-<split>/: scores.json, predictions.csv (an image a line: probabilities, decided labels, true ones,
and those that are in no score because their objects are all difficult), errors.csv (the surest false positives and misses
of each class), confused_with.csv (missed classes against wrongly found ones).
An ensemble averages probabilities; its folder is the first run's, with -ensemble behind its name.
"""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from vocctl.config import Thresholds, TrainClsConfig
from vocctl.data.devkit import MANIFEST
from vocctl.errors import ConfigError, DataError
from vocctl.files import to_json, write_text
from vocctl.inference.evaluation import (
    check_eval_options,
    eval_split,
    new_partial_folder,
    publish_folder,
)
from vocctl.inference.load import classifier_probs
from vocctl.inference.thresholds import binarize, cross_fitted_predictions
from vocctl.labels import CLASSES, IGNORE
from vocctl.metrics.average_precision import class_aps, mean_defined
from vocctl.metrics.bootstrap import interval, resampled, two_sided_p
from vocctl.metrics.multilabel import decision_scores, expected_calibration_error, sample_f1
from vocctl.runs.find import find_run
from vocctl.runs.folder import RunFolder

ERRORS_SHOWN = 10  # of each kind and class


@dataclass(frozen=True)
class ClsEvalResult:
    """Shares in [0, 1]; nan where undefined."""

    run: Path
    members: tuple[str, ...]  # one run, or an ensemble's
    folder: Path
    data: str
    split: str
    checkpoint: str
    tta: str
    images: int
    thresholds: str  # their kind
    decided: str  # where the thresholds come from
    positives: dict[str, int]
    ap: dict[str, dict[str, float]]  # definition -> class -> AP
    scores: dict[str, float]  # map_11_point, map_all_points, map_sklearn, sample_f1, micro_f1, ..., calibration_error
    per_class: dict[str, dict[str, float]]  # precision, recall, f1 -> class -> value
    intervals: dict[str, tuple[float, float]]  # 95 %, of the scores that were bootstrapped


@dataclass(frozen=True)
class PairedComparison:
    score: str
    first: float
    second: float
    low: float  # 95 % interval of second - first
    high: float
    p: float  # two-sided


@dataclass(frozen=True)
class _Predicted:
    ids: tuple[str, ...]
    probs: np.ndarray  # (N, 20)
    targets: np.ndarray  # (N, 20), 1, 0 or IGNORE
    chosen: np.ndarray  # (N, 20) bool


def evaluate(
    names: Sequence[str],
    *,
    data: Path | None = None,
    split: str | None = None,
    checkpoint: str = "best",
    tta: str = "none",
    thresholds: str | None = None,
    ci: int = 0,
    device: str | None = None,
    on_image: Callable[[int, int], None] | None = None,
) -> ClsEvalResult:
    """Score one train-cls run, or the mean of several runs' probabilities. ci: resamples of the bootstrap; 0: none.

    Raises ConfigError: no such checkpoint, tta or thresholds. DataError: no such run, or runs, weights or data that are
    missing or broken, or runs that were validated on different images.
    """
    result, _ = _evaluated(names, data, split, checkpoint, tta, thresholds, ci, device, on_image)
    return result


def compare(
    first: str, second: str, *, resamples: int = 1000, **settings: Any
) -> tuple[ClsEvalResult, ClsEvalResult, list[PairedComparison]]:
    """Both runs' results, and a paired bootstrap over the images: the same draws for both. settings: as evaluate's.

    The decisions stay as they are while images are drawn. Raises DataError where the two score different images.
    """
    one, predicted = _evaluated([first], **_defaults(settings))
    other, predicted_other = _evaluated([second], **_defaults(settings))
    if predicted.ids != predicted_other.ids:
        raise DataError(f"{first} and {second} score different images: name --data and --split for both")

    def differences(counts: np.ndarray) -> dict[str, float]:
        mine, theirs = _resampled_scores(predicted, counts), _resampled_scores(predicted_other, counts)
        return {name: theirs[name] - mine[name] for name in mine}

    drawn = resampled(differences, len(predicted.ids), resamples, seed=0)
    table = []
    for name, values in drawn.items():
        low, high = interval(values)
        table.append(PairedComparison(name, one.scores[name], other.scores[name], low, high, two_sided_p(values)))
    return one, other, table


def as_json(result: ClsEvalResult | PairedComparison) -> dict[str, Any]:
    """The result as plain values; an undefined score is null."""
    values: dict[str, Any] = to_json(asdict(result))
    return values


def _defaults(settings: dict[str, Any]) -> dict[str, Any]:
    names = {"data": None, "split": None, "checkpoint": "best", "tta": "none", "thresholds": None, "ci": 0}
    return names | {"device": None, "on_image": None} | settings


def _evaluated(
    names: Sequence[str],
    data: Path | None,
    split: str | None,
    checkpoint: str,
    tta: str,
    thresholds: str | None,
    ci: int,
    device: str | None,
    on_image: Callable[[int, int], None] | None,
) -> tuple[ClsEvalResult, _Predicted]:
    check_eval_options(checkpoint, tta)
    if thresholds is not None and thresholds not in get_args(Thresholds):
        raise ConfigError(f"--thresholds is one of {', '.join(get_args(Thresholds))}, got {thresholds!r}")
    runs = [find_run(name, "train-cls") for name in names]
    config = runs[0].config(TrainClsConfig())
    kind = thresholds or config.threshold.thresholds
    source, scored, part = eval_split(runs[0], config.data, data, split)
    ids, targets = part.images.ids, part.targets
    assert targets is not None
    probs = np.zeros(targets.shape)
    for run in runs:
        if run.split_ids("val") != runs[0].split_ids("val"):
            raise DataError(f"{run.path} and {runs[0].path} were validated on different images: one would flatter")
        probs += _probs(run, data, split, checkpoint, tta, device, on_image) / len(runs)
    chosen, decided = _predicted_labels(
        runs, checkpoint, kind, ids, probs, targets, attacked=(source.root / MANIFEST).is_file()
    )
    predicted = _Predicted(ids, probs, targets, chosen)
    folder = runs[0].path / "eval" / f"{source.name}-{scored}{'-ensemble' if len(runs) > 1 else ''}"
    about = {
        "run": runs[0].path,
        "members": tuple(str(run.path) for run in runs),
        "folder": folder,
        "data": source.name,
        "split": scored,
        "checkpoint": checkpoint,
        "tta": tta,
        "thresholds": kind,
        "decided": decided,
    }
    result = _scored(predicted, about, ci)
    _write(folder, result, predicted, {"data_path": str(source.root), "fingerprint": part.images.fingerprint})
    return result, predicted


def _probs(
    run: RunFolder,
    data: Path | None,
    split: str | None,
    checkpoint: str,
    tta: str,
    device: str | None,
    on_image: Callable[[int, int], None] | None,
) -> np.ndarray:
    """(N, 20): one run's probabilities, of the images at the size that it was trained for."""
    _, _, part = eval_split(run, run.config(TrainClsConfig()).data, data, split)
    return classifier_probs(run, part.images, checkpoint=checkpoint, tta=tta, device=device, on_image=on_image)


def _predicted_labels(
    runs: Sequence[RunFolder], checkpoint: str, kind: str, ids: tuple[str, ...], probs: np.ndarray, targets: np.ndarray,
    *, attacked: bool,
) -> tuple[np.ndarray, str]:  # fmt: skip
    """Each image's decided labels (N, 20) bool, and where the thresholds come from.

    attacked: the images are adversarial images, which are decided as the attack's own table decides them.
    """
    if kind == "0.5":
        return binarize(probs, np.full(len(CLASSES), 0.5)), "thresholds of 0.5"
    if set(ids) & set(runs[0].split_ids("val")) and not attacked:
        how = "cross-fitted: each image by thresholds that the other four fifths gave"
        return cross_fitted_predictions(probs, targets, kind), how
    kept = [run.thresholds(checkpoint, kind) for run in runs]
    return binarize(probs, np.mean(kept, axis=0)), "fitted on the run's validation images"


def _resampled_scores(predicted: _Predicted, counts: np.ndarray) -> dict[str, float]:
    aps = class_aps(predicted.probs, predicted.targets, counts)
    f1 = sample_f1(predicted.chosen & (predicted.targets != IGNORE), predicted.targets == 1)
    return {f"map_{name}": mean_defined(values) for name, values in aps.items()} | {
        "sample_f1": float((f1 * counts).sum() / counts.sum())
    }


def _scored(predicted: _Predicted, about: dict[str, Any], ci: int) -> ClsEvalResult:
    aps = class_aps(predicted.probs, predicted.targets)
    decisions = asdict(decision_scores(predicted.chosen, predicted.targets))
    per_class = {name: _by_class(decisions.pop(name)) for name in ("precision", "recall", "f1")}
    scores = {f"map_{name}": mean_defined(values) for name, values in aps.items()} | decisions
    scores["calibration_error"] = expected_calibration_error(predicted.probs, predicted.targets)
    intervals = {}
    if ci:
        drawn = resampled(lambda counts: _resampled_scores(predicted, counts), len(predicted.ids), ci, seed=0)
        intervals = {name: interval(values) for name, values in drawn.items()}
    return ClsEvalResult(
        **about,
        images=len(predicted.ids),
        positives={name: int(count) for name, count in _by_class((predicted.targets == 1).sum(0)).items()},
        ap={name: _by_class(values) for name, values in aps.items()},
        scores=scores,
        per_class=per_class,
        intervals=intervals,
    )


def _by_class(values: np.ndarray) -> dict[str, float]:
    return {name: float(value) for name, value in zip(CLASSES, values, strict=True)}


def _write(folder: Path, result: ClsEvalResult, predicted: _Predicted, about: dict[str, str]) -> None:
    part = new_partial_folder(folder)
    write_text(part / "scores.json", json.dumps(as_json(result) | about, indent=2) + "\n")
    rows = [["id", *CLASSES, "decided", "true", "unscored"]]
    for place, image_id in enumerate(predicted.ids):
        probs = [repr(float(value)) for value in predicted.probs[place]]
        target = predicted.targets[place]
        sets = [_names(chosen) for chosen in (predicted.chosen[place], target == 1, target == IGNORE)]
        rows.append([image_id, *probs, *sets])
    _write_csv(part / "predictions.csv", rows)
    _write_csv(part / "errors.csv", [["kind", "class", "id", "probability", "decided", "true"], *_errors(predicted)])
    _write_csv(part / "confused_with.csv", [["missed \\ found instead", *CLASSES], *_confused_with(predicted)])
    publish_folder(part, folder)


def _names(row: np.ndarray) -> str:
    return " ".join(CLASSES[place] for place in np.flatnonzero(row))


def _errors(predicted: _Predicted) -> list[list[str]]:
    """Per class, the false positives of the highest probability, then the misses of the lowest."""
    rows = []
    for place, name in enumerate(CLASSES):
        probs, chosen = predicted.probs[:, place], predicted.chosen[:, place]
        false = np.flatnonzero((predicted.targets[:, place] == 0) & chosen)
        missed = np.flatnonzero((predicted.targets[:, place] == 1) & ~chosen)
        surest = [("false positive", false[np.argsort(-probs[false], kind="stable")])]
        surest.append(("miss", missed[np.argsort(probs[missed], kind="stable")]))
        for kind, images in surest:
            for image in images[:ERRORS_SHOWN]:
                sets = [_names(predicted.chosen[image]), _names(predicted.targets[image] == 1)]
                rows.append([kind, name, predicted.ids[image], f"{probs[image]:.4f}", *sets])
    return rows


def _confused_with(predicted: _Predicted) -> list[list[str]]:
    """Row: a class that is there and was missed; column: one that was found on the same image and is not there."""
    missed = ((predicted.targets == 1) & ~predicted.chosen).astype(int)
    found = ((predicted.targets == 0) & predicted.chosen).astype(int)
    counts = missed.T @ found
    return [[name, *map(str, row)] for name, row in zip(CLASSES, counts.tolist(), strict=True)]


def _write_csv(path: Path, rows: list[list[str]]) -> None:
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(rows)
    write_text(path, table.getvalue())
