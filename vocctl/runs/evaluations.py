"""What a run and one of its evaluations left, read back for plot, report and runs. Nothing is computed anew."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainSegConfig, as_tables, closest
from vocctl.data.images import read_mask
from vocctl.data.source import Source, open_dataset
from vocctl.errors import DataError
from vocctl.files import is_number, read_json, read_text
from vocctl.labels import CLASSES, IGNORE, NUM_SEG_CLASSES, SEG_CLASSES
from vocctl.runs.find import distinct_names, open_run
from vocctl.runs.folder import RunFolder

CONFIGS: dict[str, Any] = {
    "train-seg": TrainSegConfig(), "train-cls": TrainClsConfig(), "train-adv": TrainAdvConfig(),
}  # fmt: skip
# what a run is known by where one figure must do
MAIN_SCORE = {"train-seg": "mean_iou", "train-cls": "map_sklearn", "train-adv": "drop"}
SCORE_NAMES = {
    "mean_iou": "mean IoU",
    "mean_dice": "mean Dice",
    "pixel_accuracy": "pixel accuracy",
    "map_11_point": "mAP (11-point)",
    "map_all_points": "mAP (all points)",
    "map_sklearn": "mAP (sklearn)",
    "sample_f1": "F1 per image",
    "drop": "drop of the targets' scores",
    "val_loss": "validation loss",
}


@dataclass(frozen=True)
class Predictions:
    """What a classifier said of each image, and what is true."""

    ids: tuple[str, ...]
    probs: np.ndarray  # (N, 20)
    decided: np.ndarray  # (N, 20) bool
    targets: np.ndarray  # (N, 20), 1, 0 or IGNORE


@dataclass(frozen=True)
class Evaluation:
    """One folder of RUN/eval/."""

    folder: Path
    scores: dict[str, Any]  # scores.json

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def source(self) -> Source:
        """Raises DataError: the data set is not where it was scored."""
        return open_dataset(Path(self.scores["data_path"]))

    @cached_property
    def predictions(self) -> Predictions:
        """Of a classifier, from predictions.csv."""
        rows = self._rows("predictions.csv")
        try:
            probs = np.array([[float(row[name]) for name in CLASSES] for row in rows])
            decided, true = (_label_sets([row[key] for row in rows]) for key in ("decided", "true"))
            unscored = _label_sets([row.get("unscored") or "" for row in rows])
            targets = np.where(unscored, IGNORE, true).astype(np.uint8)
            return Predictions(tuple(row["id"] for row in rows), probs, decided, targets)
        except (KeyError, ValueError, TypeError) as error:
            raise self._broken("predictions.csv") from error

    @cached_property
    def confusion(self) -> np.ndarray:
        """Of a segmenter, (21, 21) pixels: rows are the truth."""
        try:
            table = list(csv.reader(io.StringIO(read_text(self.folder / "confusion.csv"))))
            counts = np.array([row[1:] for row in table[1:]], dtype=np.int64)
        except (OSError, ValueError, csv.Error) as error:
            raise self._broken("confusion.csv") from error
        if counts.shape != (NUM_SEG_CLASSES, NUM_SEG_CLASSES):
            raise self._broken("confusion.csv")
        return counts

    @cached_property
    def image_confusions(self) -> dict[str, np.ndarray]:
        """Of a segmenter, each image's (21, 21) pixels; empty where an older vocctl did not write them."""
        if not (self.folder / "images.csv").is_file():
            return {}
        place = {name: label for label, name in enumerate(SEG_CLASSES)}
        counts = {
            image_id: np.zeros((NUM_SEG_CLASSES, NUM_SEG_CLASSES), np.int64) for image_id in self.scores["image_iou"]
        }
        try:
            for row in self._rows("images.csv"):
                counts[row["id"]][place[row["truth"]], place[row["predicted"]]] = int(row["pixels"])
        except (KeyError, ValueError, TypeError) as error:
            raise self._broken("images.csv") from error
        return counts

    def label_map(self, image_id: str, size: tuple[int, int]) -> np.ndarray:
        """(H, W): what a segmenter predicted. Raises DataError: gone, broken, of another size than its image."""
        path = self.folder / "labels" / f"{image_id}.png"
        predicted = read_mask(path)
        if predicted.shape != size:
            raise DataError(f"{path} does not fit its image: run `vocctl eval` again")
        return predicted

    def _rows(self, name: str) -> list[dict[str, str]]:
        try:
            return list(csv.DictReader(io.StringIO(read_text(self.folder / name))))
        except (OSError, ValueError, csv.Error) as error:
            raise self._broken(name) from error

    def _broken(self, name: str) -> DataError:
        run = self.folder.parent.parent
        return DataError(f"{self.folder / name} is missing or broken: run `vocctl eval {run}` again")


@dataclass(frozen=True)
class RunRecord:
    folder: RunFolder
    task: str
    settings: dict[str, Any]  # every setting by its field's name
    evaluation: Evaluation | None  # the one that was asked for, or the newest
    name: str  # its folder's; with those above it where several runs are seen that share it: "seg/one"

    @property
    def segments(self) -> bool:
        return self.task == "train-seg"

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl. Raises DataError: none yet."""
        return self.folder.read_metrics()

    @property
    def best(self) -> dict[str, Any]:
        """The record of the best epoch by the run's own monitor. Raises DataError: its lines lack that score."""
        monitor = self.settings["monitor"]
        better = min if monitor == "val_loss" else max
        try:
            best: dict[str, Any] = better(self.records, key=lambda record: float(record[monitor]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{self.folder.metrics} has lines without {monitor}: train the run again") from error
        return best


def flat_settings(folder: RunFolder) -> dict[str, Any]:
    """Every setting by its field's name, which occurs once in a config. Raises DataError: a run of another task."""
    task = folder.task
    if task not in CONFIGS:
        raise DataError(f"{folder.path} is a run of {task}: name one of {' or '.join(CONFIGS)}")
    tables = as_tables(folder.config(CONFIGS[task]))
    return {name: value for table in tables.values() for name, value in table.items()}


def read_run(name: str, evaluation: str | None = None) -> RunRecord:
    """A run with its evaluation. Raises DataError: no such run or evaluation."""
    (run,) = read_runs([name], evaluation)
    return run


def read_runs(names: Sequence[str], evaluation: str | None = None) -> list[RunRecord]:
    """As see_run; where no evaluation is named, the newest that all runs of a task share, if they share one."""
    folders = [open_run(name) for name in names]
    tasks = [folder.task for folder in folders]
    runs = []
    for folder, task, name in zip(folders, tasks, distinct_names([folder.path for folder in folders]), strict=True):
        alike = [other.path for other, its in zip(folders, tasks, strict=True) if its == task]
        shared = [one for one in _newest_first(alike[0]) if all(one in evaluations(path) for path in alike)]
        wanted = next(iter(shared), None) if evaluation is None else evaluation
        runs.append(RunRecord(folder, task, flat_settings(folder), open_evaluation(folder.path, wanted), name))
    return runs


def evaluations(run: Path) -> dict[str, Path]:
    """RUN/eval/<name> by name, those of ensembles too."""
    return {path.parent.name: path.parent for path in sorted((run / "eval").glob("*/scores.json"))}


def _newest_first(run: Path) -> list[str]:
    """Names of the run's own evaluations."""
    found = {name: path for name, path in evaluations(run).items() if not name.endswith("-ensemble")}
    return sorted(found, key=lambda name: -(found[name] / "scores.json").stat().st_mtime)


def open_evaluation(run: Path, name: str | None) -> Evaluation | None:
    """RUN/eval/<name>, or the newest; None where nothing was evaluated yet. Raises DataError: no such one, broken."""
    found = evaluations(run)
    if name is not None and name not in found:
        raise DataError(
            f"{run}/eval holds no {name!r}{closest(name, found) or ':'} there is {', '.join(found) or 'none'}"
        )
    if name is None:
        newest = _newest_first(run)
        if not newest:
            return None
        name = newest[0]
    try:
        scores = read_json(found[name] / "scores.json")
        _refuse_other(scores)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"{found[name]}/scores.json can't be read: run `vocctl eval {run}` again") from error
    return Evaluation(found[name], scores)


def _refuse_other(scores: dict[str, Any]) -> None:
    """Raises ValueError, LookupError, TypeError or AttributeError: no scores.json of a segmenter (its images have an IoU)
    or of a classifier."""
    held = scores["scores"]
    if "image_iou" in scores:
        names: Sequence[str] = SEG_CLASSES
        by_class = [held["iou"], held["dice"]]
        single = [held["mean_iou"], held["mean_dice"], held["pixel_accuracy"], *scores["image_iou"].values()]
        single.append(scores["competition_dice"])
    else:
        names = CLASSES
        by_class = [scores["positives"], *(scores["ap"][key] for key in ("11_point", "all_points", "sklearn"))]
        by_class += [scores["per_class"][key] for key in ("precision", "recall", "f1")]
        single = [held["map_sklearn"], *held.values()]
        single += [bound for low, high in scores["intervals"].values() for bound in (low, high)]
    single += [table[name] for table in by_class for name in names]
    if not all(number is None or (is_number(number) and abs(number) < inf) for number in single):
        raise ValueError("other values than numbers")
    words = ("data", "data_path", "split", "checkpoint", "tta", *(["thresholds"] if "image_iou" not in scores else []))
    if not all(isinstance(scores[word], str) for word in words):
        raise ValueError("other values than words")


def _label_sets(texts: Sequence[str]) -> np.ndarray:
    """(N, 20) bool from names with spaces between."""
    place = {name: index for index, name in enumerate(CLASSES)}
    chosen = np.zeros((len(texts), len(CLASSES)), bool)
    for row, text in zip(chosen, texts, strict=True):
        row[[place[name] for name in text.split()]] = True
    return chosen
