"""An evaluation of a classifier or of an ensemble of classifiers: reader and writer of its folder.

scores.json         what was scored, the scores, the scores of each class, 95 % intervals with --ci
predictions.csv     a line per image: probability of each class, predicted and true labels, and the labels that are ignored
                    because all objects of their class are difficult
errors.csv          for each class the most confident false positives and false negatives
confused_with.csv   numbers of images; rows: class with a false negative, columns: class with a false positive on the same image
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vocctl.files import atomic_folder, write_csv, write_json
from vocctl.labels import CLASSES, IGNORE
from vocctl.metrics.average_precision import class_aps
from vocctl.metrics.table import METRICS
from vocctl.runs.eval_files import (
    EvalInfo,
    class_scores_from_json,
    corrupt,
    info_from_json,
    number,
    read_rows,
    scores_from_json,
)
from vocctl.runs.kinds import CLS, RunKind
from vocctl.runs.seg_evaluation import Frequencies

ERRORS_PER_CLASS = 10  # in errors.csv, of each kind
PREDICTION_COLUMNS = ("id", *CLASSES, "predicted", "true", "ignored")


@dataclass(frozen=True)
class ClsPredictions:
    """Predictions for N images and their ground truth."""

    ids: tuple[str, ...]
    probs: np.ndarray  # (N, 20)
    predicted: np.ndarray  # (N, 20) bool
    targets: np.ndarray  # (N, 20) uint8: 1 present, 0 absent, IGNORE

    @property
    def false_positives(self) -> np.ndarray:
        """(N, 20) bool."""
        return self.predicted & (self.targets == 0)

    @property
    def false_negatives(self) -> np.ndarray:
        """(N, 20) bool."""
        return ~self.predicted & (self.targets == 1)


@dataclass(frozen=True, kw_only=True)
class ClsEvaluation:
    """Scores are fractions in [0, 1]; NaN where undefined."""

    info: EvalInfo
    members: tuple[str, ...]  # the run's folder, or those of an ensemble
    thresholds: str  # their kind: per-class, global or 0.5
    threshold_source: str  # how the thresholds were fitted
    positives: dict[str, int]  # class -> number of images with it
    scores: dict[str, float]  # metric -> value
    per_class: dict[str, dict[str, float]]  # metric -> class -> value
    intervals: dict[str, tuple[float, float]]  # metric -> 95 % bootstrap interval

    @property
    def kind(self) -> RunKind:
        return CLS

    @property
    def main_score(self) -> float:
        return self.scores[CLS.main_metric.key]

    @property
    def class_scores(self) -> dict[str, float]:
        """The main metric's score of each class."""
        return self.per_class[CLS.class_metric.key]

    @property
    def image_ids(self) -> tuple[str, ...]:
        return self.predictions.ids

    @property
    def model_name(self) -> str:
        return self.info.run.name if len(self.members) == 1 else f"{len(self.members)} runs"

    @property
    def note(self) -> str:
        """What a reader of the scores must know beside the metrics' definitions."""
        return (
            "An image with only difficult objects of a class is not scored for this class. Predicted labels: "
            f"{self.thresholds} thresholds ({self.threshold_source}); the most probable class if no class reaches its "
            "threshold."
        )

    @property
    def files(self) -> tuple[str, ...]:
        """The content of the folder."""
        return ("scores.json", "predictions.csv", "errors.csv", "confused_with.csv")

    @cached_property
    def predictions(self) -> ClsPredictions:
        """Raises DataError: predictions.csv is missing or corrupt."""
        path = self.info.folder / "predictions.csv"
        rows = read_rows(path, PREDICTION_COLUMNS)
        try:
            probs = np.array([[float(row[name]) for name in CLASSES] for row in rows])
            predicted, true, ignored = (_label_matrix(rows, column) for column in ("predicted", "true", "ignored"))
            targets = np.where(ignored, IGNORE, true).astype(np.uint8)
            return ClsPredictions(tuple(row["id"] for row in rows), probs, predicted, targets)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise corrupt(path) from error

    def class_frequencies(self) -> Frequencies:
        """Number of images with each class."""
        return {"images": dict(self.positives)}

    def classes_in_mean(self) -> np.ndarray:
        """(K,) bool: the classes that the main score is the mean of, if they are defined."""
        return np.ones(len(CLASSES), bool)

    def resampled_class_scores(self, image_counts: np.ndarray) -> np.ndarray:
        """Score bootstrap resamples of the images. image_counts: (R, N), how often each image is drawn. Returns (R, K)."""
        probs, targets = self.predictions.probs, self.predictions.targets
        return np.stack([class_aps(probs, targets, counts)["sklearn"] for counts in image_counts])

    def to_json(self) -> dict[str, Any]:
        """The content of scores.json."""
        about = asdict(self.info)
        data_path, fingerprint = about.pop("data_path"), about.pop("fingerprint")
        keys = ("members", "thresholds", "threshold_source", "positives", "scores", "per_class", "intervals")
        scores = {key: getattr(self, key) for key in keys}
        return {"run": self.info.run, **about, **scores, "data_path": data_path, "fingerprint": fingerprint}

    @classmethod
    def from_json(cls, folder: Path, values: dict[str, Any]) -> "ClsEvaluation":
        """Check and convert the content of scores.json.

        Raises LookupError, ValueError, TypeError or AttributeError: not what to_json returns.
        """
        thresholds, threshold_source = values["thresholds"], values["threshold_source"]
        if not (isinstance(thresholds, str) and isinstance(threshold_source, str)):
            raise ValueError("expected text")
        return cls(
            info=info_from_json(folder, values),
            members=tuple(str(member) for member in values["members"]),
            thresholds=thresholds,
            threshold_source=threshold_source,
            positives={name: int(number(values["positives"][name])) for name in CLASSES},
            scores=scores_from_json(values["scores"], CLS),
            per_class=class_scores_from_json(values["per_class"], CLS),
            intervals=_intervals_from_json(values["intervals"]),
        )


def _intervals_from_json(table: dict[str, Any]) -> dict[str, tuple[float, float]]:
    if not table.keys() <= METRICS.keys():
        raise LookupError("expected intervals by metric")
    return {metric: (number(low), number(high)) for metric, (low, high) in table.items()}


def write_cls_evaluation(evaluation: ClsEvaluation, predictions: ClsPredictions) -> None:
    """Write the evaluation folder; an earlier one is replaced. Raises RunError: no space, or read-only."""
    with atomic_folder(evaluation.info.folder) as folder:
        write_json(folder / "scores.json", evaluation.to_json())
        write_csv(folder / "predictions.csv", _prediction_rows(predictions))
        write_csv(folder / "errors.csv", _error_rows(predictions))
        write_csv(folder / "confused_with.csv", _confusion_rows(predictions))


def _prediction_rows(predictions: ClsPredictions) -> list[list[str]]:
    rows = [list(PREDICTION_COLUMNS)]
    for image, image_id in enumerate(predictions.ids):
        probs = [repr(float(prob)) for prob in predictions.probs[image]]
        targets = predictions.targets[image]
        label_sets = (predictions.predicted[image], targets == 1, targets == IGNORE)
        rows.append([image_id, *probs, *map(_label_names, label_sets)])
    return rows


def _error_rows(predictions: ClsPredictions) -> list[list[str]]:
    """List, for each class, the false positives of highest and the false negatives of lowest probability."""
    rows = [["kind", "class", "id", "probability", "predicted", "true"]]
    for label, name in enumerate(CLASSES):
        probs = predictions.probs[:, label]
        false_positives = np.flatnonzero(predictions.false_positives[:, label])
        false_negatives = np.flatnonzero(predictions.false_negatives[:, label])
        ranked = {
            "false positive": false_positives[np.argsort(-probs[false_positives], kind="stable")],
            "false negative": false_negatives[np.argsort(probs[false_negatives], kind="stable")],
        }
        for kind, images in ranked.items():
            for image in images[:ERRORS_PER_CLASS]:
                label_sets = (predictions.predicted[image], predictions.targets[image] == 1)
                rows.append([kind, name, predictions.ids[image], f"{probs[image]:.4f}", *map(_label_names, label_sets)])
    return rows


def _confusion_rows(predictions: ClsPredictions) -> list[list[str]]:
    counts = predictions.false_negatives.astype(int).T @ predictions.false_positives.astype(int)
    rows = [[name, *map(str, row)] for name, row in zip(CLASSES, counts.tolist(), strict=True)]
    return [["false negative \\ false positive", *CLASSES], *rows]


def _label_names(label_set: np.ndarray) -> str:
    """Names of the classes in a label set (20,) bool, separated by spaces."""
    return " ".join(CLASSES[label] for label in np.flatnonzero(label_set))


def _label_matrix(rows: Sequence[dict[str, str]], column: str) -> np.ndarray:
    """(N, 20) bool from a column of class names separated by spaces. Raises KeyError: not a class of VOC."""
    label = {name: index for index, name in enumerate(CLASSES)}
    matrix = np.zeros((len(rows), len(CLASSES)), bool)
    for index, row in enumerate(rows):
        matrix[index, [label[name] for name in row[column].split()]] = True
    return matrix
