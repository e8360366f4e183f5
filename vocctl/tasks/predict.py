"""Predict the user's own images: labels with probabilities, or masks in VOC's palette with overlays.

An image is processed as by `vocctl eval`: resized to the run's input size, and the probabilities resized back to its
original size. The original size is that after the EXIF rotation, as every viewer shows it. An image that cannot be read
is named in the result, and the others are predicted.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vocctl.config import check_checkpoint, check_tta
from vocctl.data.image_folder import find_images
from vocctl.data.images import read_image, write_mask
from vocctl.data.resize import resize_to_model
from vocctl.errors import ConfigError, DataError, RunError
from vocctl.files import atomic_file, read_json, write_json
from vocctl.inference.load import load_classifier, load_segmenter
from vocctl.inference.predict import predict_label_probs, predict_labels, predict_probs
from vocctl.inference.thresholds import binarize
from vocctl.labels import CLASSES, SEG_CLASSES
from vocctl.plots.mask_colors import overlay_labels
from vocctl.runs.find import open_run
from vocctl.runs.folder import RunFolder

SOURCES = "predictions.json"  # in the folder of masks and overlays
logger = logging.getLogger(__name__)
MIN_FRACTION = 0.005  # a class on fewer of the pixels is not listed


@dataclass(frozen=True)
class FailedPrediction:
    """An image that could not be read."""

    image: Path
    error: str

    def as_json(self) -> dict[str, Any]:
        return {"image": str(self.image), "error": self.error}


@dataclass(frozen=True)
class LabelPrediction:
    """A classifier's prediction."""

    image: Path
    size: tuple[int, int]  # width, height
    labels: tuple[str, ...]  # classes above their threshold, the most probable one first
    probabilities: dict[str, float]  # of every class, the most probable one first

    def as_json(self) -> dict[str, Any]:
        return {
            "image": str(self.image), "size": list(self.size), "labels": list(self.labels),
            "probabilities": self.probabilities,
        }  # fmt: skip


@dataclass(frozen=True)
class MaskPrediction:
    """A segmenter's prediction."""

    image: Path
    size: tuple[int, int]  # width, height
    labels: tuple[str, ...]  # classes on at least MIN_FRACTION of the pixels, the largest one first
    fractions: dict[str, float]  # of the pixels, for every class that occurs, background included
    mask: Path
    overlay: Path

    def as_json(self) -> dict[str, Any]:
        return {
            "image": str(self.image), "size": list(self.size), "labels": list(self.labels),
            "fractions": self.fractions, "mask": str(self.mask), "overlay": str(self.overlay),
        }  # fmt: skip


Prediction = FailedPrediction | LabelPrediction | MaskPrediction


def predict(
    images: Sequence[Path],
    name: str,
    *,
    out: Path | None = None,
    checkpoint: str = "best",
    tta: str = "none",
    device: str | None = None,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> list[Prediction]:
    """Predict each named image, and each image in the named folders.

    out: folder of masks and overlays; they never overwrite one of these images. name: a run of train-seg or train-cls.

    Raises ConfigError: an unknown checkpoint or tta, a run of train-adv, or out with a run of train-cls. DataError: no such run
    or path, a folder without images, no weights. RunError: out cannot be written.
    """
    check_checkpoint(checkpoint)
    check_tta(tta)
    files = list(_find_images(images))
    run = open_run(name)
    predictor = _open_predictor(run, checkpoint, tta, device)
    if out is not None and run.task == "train-cls":
        raise ConfigError(
            "--out is for masks and overlays, and a classifier's labels are printed: omit it, or use --json"
        )
    output = _OutputPaths(
        out or Path("predictions"),
        {_identity(path) for path, _ in files},
        f"{run.path.resolve()}, {checkpoint}, tta {tta}",
    )
    predictions: list[Prediction] = []
    for done, (path, relative) in enumerate(files, start=1):
        try:
            image = read_image(path)
        except DataError as error:
            predictions.append(FailedPrediction(path, str(error)))
        else:
            predictions.append(predictor.predict(path, image, relative, output))
        on_image(done, len(files))
    output.write_sources()
    return predictions


class _Predictor(Protocol):
    def predict(self, path: Path, image: np.ndarray, relative: Path, output: "_OutputPaths") -> Prediction:
        """image: (H, W, 3) uint8. relative: the image's path in the named folder, without its suffix."""
        ...


class _ClassifierPredictor:
    def __init__(self, run: RunFolder, checkpoint: str, tta: str, device: str | None) -> None:
        self.model, self.config, self.setup = load_classifier(run, checkpoint, device)
        self.thresholds, self.tta = run.thresholds(checkpoint, self.config.threshold.thresholds), tta

    def predict(self, path: Path, image: np.ndarray, relative: Path, output: "_OutputPaths") -> LabelPrediction:
        probs = predict_label_probs(
            self.model, _batch(image, self.config.data.size), 1, device=self.setup.device,
            precision=self.setup.precision, tta=self.tta,
        )  # fmt: skip
        labels = sorted(np.flatnonzero(binarize(probs, self.thresholds)[0]), key=lambda label: -probs[0, label])
        ranking = np.argsort(-probs[0], kind="stable")
        return LabelPrediction(
            path,
            size=(image.shape[1], image.shape[0]),
            labels=tuple(CLASSES[label] for label in labels),
            probabilities={CLASSES[label]: float(probs[0, label]) for label in ranking},
        )


class _SegmenterPredictor:
    def __init__(self, run: RunFolder, checkpoint: str, tta: str, device: str | None) -> None:
        self.model, self.config, self.setup = load_segmenter(run, checkpoint, device)
        self.tta = tta

    def predict(self, path: Path, image: np.ndarray, relative: Path, output: "_OutputPaths") -> MaskPrediction:
        probs = predict_probs(
            self.model, _batch(image, self.config.data.size), device=self.setup.device,
            precision=self.setup.precision, tta=self.tta,
        )  # fmt: skip
        ((_, labels),) = predict_labels(probs, [(image.shape[0], image.shape[1])])
        counts = np.bincount(labels.ravel(), minlength=len(SEG_CLASSES)) / labels.size
        ranking = [label for label in np.argsort(-counts, kind="stable") if counts[label] > 0]
        mask, overlay = output.reserve(path, relative)
        _write_outputs(mask, overlay, image, labels)
        return MaskPrediction(
            path,
            size=(image.shape[1], image.shape[0]),
            labels=tuple(SEG_CLASSES[label] for label in ranking if label > 0 and counts[label] >= MIN_FRACTION),
            fractions={SEG_CLASSES[label]: float(counts[label]) for label in ranking},
            mask=mask,
            overlay=overlay,
        )


PREDICTORS: dict[str, Callable[[RunFolder, str, str, str | None], _Predictor]] = {
    "train-cls": _ClassifierPredictor,
    "train-seg": _SegmenterPredictor,
}


def _open_predictor(run: RunFolder, checkpoint: str, tta: str, device: str | None) -> _Predictor:
    if run.task not in PREDICTORS:
        raise ConfigError(f"{run.path} is a run of {run.task}: predict takes a run of {' or '.join(PREDICTORS)}")
    return PREDICTORS[run.task](run, checkpoint, tta, device)


def _find_images(paths: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield (image, its path relative to the named folder, without its suffix), each image once. Logs what a folder has
    that is not read.
    """
    yielded: set[str] = set()
    for path in paths:
        if path.is_dir():
            found = find_images(path, _results_in(path))
            if found.skipped:
                logger.warning("%s: %s", path, found.skipped)
            images = [(file, file.relative_to(path).with_suffix("")) for file in found.images]
        elif path.is_file():
            images = [(path, Path(path.stem))]
        else:
            raise DataError(f"{path} is neither an image nor a folder: fix its name")
        for file, relative in images:
            if (absolute := os.path.abspath(file)) not in yielded:
                yielded.add(absolute)
                yield file, relative


def _results_in(folder: Path) -> set[Path]:
    """The masks and overlays that predict has written into a folder and below it, by their SOURCES, and these."""
    results: set[Path] = set()
    for path in folder.rglob(SOURCES):
        try:
            sources = read_json(path)
        except (OSError, ValueError):
            continue  # not one of predict's
        for name, source in sources.items():
            if name.endswith(".png") and isinstance(source, str) and ", tta " in source:
                results.update((path, *_output_files(path.parent / Path(name).with_suffix(""))))
    return results


class _OutputPaths:
    """Names masks and overlays in a folder so that no two images share one and only an earlier result of the same image,
    run and options is overwritten. SOURCES in the folder says what each mask was predicted from.
    """

    def __init__(self, folder: Path, input_files: set[str], predictor: str) -> None:
        """predictor: the run, and the options that change what it predicts."""
        self.folder, self.input_files, self.predictor = folder, input_files, predictor
        self.reserved: set[Path] = set()
        try:
            self.sources = read_json(folder / SOURCES)  # mask, relative to the folder -> its image and predictor
        except (OSError, ValueError):
            self.sources = {}

    def reserve(self, image: Path, relative: Path) -> tuple[Path, Path]:
        """Return the mask's and the overlay's path: relative.png, or relative-2.png, ... if that is in use."""
        stem = candidate = self.folder / relative
        source = f"{os.path.realpath(image)}, {self.predictor}"
        number = 1
        while candidate in self.reserved or not self._may_write(candidate, source):
            number += 1
            candidate = stem.with_name(f"{stem.name}-{number}")
        self.reserved.add(candidate)
        self.sources[self._name(candidate)] = source
        return _output_files(candidate)

    def write_sources(self) -> None:
        """Raises RunError: no space, or read-only."""
        if self.reserved:
            write_json(self.folder / SOURCES, self.sources)

    def _may_write(self, stem: Path, source: str) -> bool:
        files = _output_files(stem)
        if self.input_files & set(map(_identity, files)):
            return False
        return not any(path.exists() for path in files) or self.sources.get(self._name(stem)) == source

    def _name(self, stem: Path) -> str:
        return _output_files(stem)[0].relative_to(self.folder).as_posix()


def _output_files(stem: Path) -> tuple[Path, Path]:
    return stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}-overlay.jpg")


def _identity(path: Path) -> str:
    """The same text for every path of a file: links are resolved, and case is ignored as some file systems do."""
    return os.path.realpath(path).casefold()


def _batch(image: np.ndarray, size: int) -> list[tuple[Tensor, Tensor]]:
    """One batch with one image at the model's input size."""
    resized = resize_to_model(image, size)
    return [(torch.tensor([0]), torch.from_numpy(resized.copy()).permute(2, 0, 1)[None])]


def _write_outputs(mask: Path, overlay: Path, image: np.ndarray, labels: np.ndarray) -> None:
    """Write the label map and the overlay. Raises RunError: they cannot be written."""
    try:
        mask.parent.mkdir(parents=True, exist_ok=True)
        write_mask(mask, labels)
        with atomic_file(overlay, "free space or choose another --out") as part:
            Image.fromarray(overlay_labels(image, labels)).save(part, format="JPEG", quality=90)
    except OSError as error:
        raise RunError(f"{mask} cannot be written: {error.strerror}; free space or choose another --out") from error
