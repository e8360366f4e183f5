"""An evaluation of a segmenter: reader and writer of its folder.

scores.json     what was scored, the scores, the scores of each class, the mean IoU of each image
confusion.csv   pixels, rows: true class, columns: predicted class
images.csv      the same counts for each image, without zeros
labels/ID.png   the predicted label map of each image, at the image's original size (mode P, VOC's palette)
"""

import csv
import io
from dataclasses import asdict, dataclass
from functools import cached_property
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from vocctl.data.images import mask_png, read_mask
from vocctl.errors import DataError, RunError
from vocctl.files import read_text, write_csv, write_json
from vocctl.labels import NUM_SEG_CLASSES, SEG_CLASSES
from vocctl.runs.eval_files import (
    EvalInfo,
    class_scores_from_json,
    corrupt,
    info_from_json,
    number,
    read_rows,
    scores_from_json,
)
from vocctl.runs.kinds import SEG, RunKind

Frequencies = dict[str, dict[str, float]]  # "images" or "% of pixels" -> class -> amount
IMAGES_COLUMNS = ("id", "true", "predicted", "pixels")
HEAD = "true \\ predicted"


@dataclass(frozen=True, kw_only=True)
class SegEvaluation:
    """Scores are fractions in [0, 1]; NaN where undefined."""

    info: EvalInfo
    scores: dict[str, float]  # metric -> value
    per_class: dict[str, dict[str, float]]  # metric -> class -> value
    absent_classes: tuple[str, ...]  # without ground truth, left out of the means
    image_iou: dict[str, float]  # image id -> mean IoU of this image

    @property
    def kind(self) -> RunKind:
        return SEG

    @property
    def main_score(self) -> float:
        return self.scores[SEG.main_metric.key]

    @property
    def class_scores(self) -> dict[str, float]:
        """The main metric's score of each class."""
        return self.per_class[SEG.class_metric.key]

    @property
    def image_ids(self) -> tuple[str, ...]:
        return tuple(self.image_iou)

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % intervals that `vocctl eval --ci` stored: none, it takes classifiers only."""
        return {}

    @property
    def model_name(self) -> str:
        return self.info.run.name

    @property
    def note(self) -> str:
        """What a reader of the scores must know beside the metrics' definitions."""
        absent = ", ".join(self.absent_classes) or "none"
        return f"Classes without ground truth, left out of the means: {absent}."

    @property
    def files(self) -> tuple[str, ...]:
        """The content of the folder."""
        return ("scores.json", "confusion.csv", "images.csv", "labels/")

    @cached_property
    def confusion(self) -> np.ndarray:
        """(21, 21) int64 pixels; rows are the ground truth. Raises DataError: confusion.csv is missing or corrupt."""
        path = self.info.folder / "confusion.csv"
        try:
            table = list(csv.reader(io.StringIO(read_text(path))))
            counts = np.array([row[1:] for row in table[1:]], dtype=np.int64)
        except (OSError, ValueError, OverflowError, csv.Error) as error:
            raise corrupt(path) from error
        if counts.shape != (NUM_SEG_CLASSES, NUM_SEG_CLASSES):
            raise corrupt(path)
        return counts

    @cached_property
    def image_confusions(self) -> np.ndarray:
        """(N, 21, 21) int64 pixels of each image, in the order of image_ids. Raises DataError as confusion does."""
        path = self.info.folder / "images.csv"
        label = {name: index for index, name in enumerate(SEG_CLASSES)}
        row_of = {image_id: index for index, image_id in enumerate(self.image_iou)}
        counts = np.zeros((len(row_of), NUM_SEG_CLASSES, NUM_SEG_CLASSES), np.int64)
        try:
            for row in read_rows(path, IMAGES_COLUMNS):
                counts[row_of[row["id"]], label[row["true"]], label[row["predicted"]]] = int(row["pixels"])
        except (KeyError, ValueError, TypeError, OverflowError) as error:
            raise corrupt(path) from error
        return counts

    def label_map(self, image_id: str, size: tuple[int, int]) -> np.ndarray:
        """The predicted label map (H, W). Raises DataError: missing, corrupt, or its size is not the image's size."""
        path = _label_map_path(self.info.folder, image_id)
        label_map = read_mask(path)
        if label_map.shape != size:
            raise DataError(f"{path} does not fit its image: run `vocctl eval {self.info.run}` again")
        return label_map

    def worst_first(self) -> list[str]:
        """Image ids by ascending mean IoU; images without labeled pixels are left out."""
        defined = [image_id for image_id, iou in self.image_iou.items() if not np.isnan(iou)]
        return sorted(defined, key=lambda image_id: self.image_iou[image_id])

    def class_frequencies(self) -> Frequencies:
        """Ground truth of each class: number of images, and percentage of the labeled pixels."""
        images = (self.image_confusions.sum(2) > 0).sum(0)
        percentages = 100 * self.confusion.sum(1) / max(self.confusion.sum(), 1)
        return {
            "images": dict(zip(SEG_CLASSES, images.tolist(), strict=True)),
            "% of pixels": dict(zip(SEG_CLASSES, percentages.tolist(), strict=True)),
        }

    def classes_in_mean(self) -> np.ndarray:
        """(K,) bool: the classes that the main score is the mean of."""
        return self.confusion.sum(1) > 0

    def resampled_class_scores(self, image_counts: np.ndarray) -> np.ndarray:
        """Score bootstrap resamples of the images. image_counts: (R, N), how often each image is drawn. Returns (R, K)."""
        cells = self.image_confusions.reshape(len(self.image_iou), -1).astype(float)  # (N, 441)
        confusions = (image_counts @ cells).reshape(len(image_counts), NUM_SEG_CLASSES, NUM_SEG_CLASSES)
        hits = np.einsum("rkk->rk", confusions)
        union = confusions.sum(1) + confusions.sum(2) - hits
        return np.where(union > 0, hits / np.maximum(union, 1), nan)

    def to_json(self) -> dict[str, Any]:
        """The content of scores.json."""
        about = asdict(self.info)
        data_path, fingerprint = about.pop("data_path"), about.pop("fingerprint")
        scores = {key: getattr(self, key) for key in ("scores", "per_class", "absent_classes", "image_iou")}
        return {"run": self.info.run, **about, **scores, "data_path": data_path, "fingerprint": fingerprint}

    @classmethod
    def from_json(cls, folder: Path, values: dict[str, Any]) -> "SegEvaluation":
        """Check and convert the content of scores.json.

        Raises LookupError, ValueError, TypeError or AttributeError: not what to_json returns.
        """
        return cls(
            info=info_from_json(folder, values),
            scores=scores_from_json(values["scores"], SEG),
            per_class=class_scores_from_json(values["per_class"], SEG),
            absent_classes=tuple(str(name) for name in values["absent_classes"]),
            image_iou={image_id: number(iou) for image_id, iou in values["image_iou"].items()},
        )


def write_label_map(folder: Path, image_id: str, label_map: np.ndarray) -> None:
    """Write labels/ID.png into an unfinished evaluation folder. label_map: (H, W) uint8. Raises RunError: no space."""
    path = _label_map_path(folder, image_id)
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(mask_png(label_map))  # not atomic: the folder is renamed when it is complete
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror}; free space and run eval again") from error


def write_seg_evaluation(folder: Path, evaluation: SegEvaluation, image_confusions: np.ndarray) -> None:
    """Write everything but the label maps into an unfinished evaluation folder.

    image_confusions: (N, 21, 21) int pixels, in the order of evaluation.image_ids.
    """
    write_json(folder / "scores.json", evaluation.to_json())
    confusion = image_confusions.sum(0).tolist()
    rows = [[name, *row] for name, row in zip(SEG_CLASSES, confusion, strict=True)]
    write_csv(folder / "confusion.csv", [[HEAD, *SEG_CLASSES], *rows])
    cells = np.argwhere(image_confusions)
    pixels = image_confusions[tuple(cells.T)].tolist()
    ids = evaluation.image_ids
    rows = [
        [ids[image], SEG_CLASSES[true], SEG_CLASSES[predicted], count]
        for (image, true, predicted), count in zip(cells.tolist(), pixels, strict=True)
    ]
    write_csv(folder / "images.csv", [IMAGES_COLUMNS, *rows])


def _label_map_path(folder: Path, image_id: str) -> Path:
    return folder / "labels" / f"{image_id}.png"
