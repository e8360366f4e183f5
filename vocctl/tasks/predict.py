"""Predict images that are in no data set: labels with probabilities, or masks in VOC's palette with overlays.

A image goes through the run as eval sends it: shrunk to the run's size, probabilities brought back to the image's own. Its
own size is that after its EXIF turn, as every viewer shows it. One that can't be read is named, and the others go on.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from vocctl.config import check_checkpoint, check_tta
from vocctl.data.cache import resize_to_model
from vocctl.data.images import read_any_image, write_mask
from vocctl.devices import DeviceSetup
from vocctl.errors import ConfigError, DataError, RunError
from vocctl.inference.load import load_classifier, load_segmenter
from vocctl.inference.predict import predict_label_probs, predict_labels, predict_probs
from vocctl.inference.thresholds import binarize
from vocctl.labels import CLASSES, SEG_CLASSES
from vocctl.plots.mask_colors import overlay_labels
from vocctl.runs.find import open_run
from vocctl.runs.folder import RunFolder

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".avif")
SHOWN = 0.005  # share of the pixels from which on a class is named


@dataclass(frozen=True)
class Prediction:
    image: Path
    error: str = ""  # why it was not predicted; all below is empty then
    size: tuple[int, int] = (0, 0)  # width, height
    labels: tuple[str, ...] = ()  # decided, of a classifier; on at least SHOWN of the pixels, of a segmenter
    # probabilities of the classes, or the share of the pixels of those that occur
    shares: dict[str, float] | None = None
    mask: Path | None = None
    overlay: Path | None = None


@dataclass(frozen=True)
class _Model:
    run: RunFolder
    network: nn.Module
    size: int
    setup: DeviceSetup
    tta: str
    thresholds: np.ndarray | None  # of a classifier


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
    """One result for each image named, and for each in the folders named. out: where masks and overlays go, never over one
    of these images.

    Raises ConfigError: no such checkpoint or tta. DataError: no such run or path, a folder without images, no weights.
    RunError: out can't be written.
    """
    check_checkpoint(checkpoint)
    check_tta(tta)
    found = list(_images(images))
    model = _loaded(name, checkpoint, tta, device)
    segments = model.thresholds is None
    out = out or Path("predictions")
    taken, input_files = set[Path](), {_file(path) for path, _ in found}
    results = []
    for done, (path, inside) in enumerate(found, start=1):
        try:
            image = read_any_image(path)
        except DataError as error:
            results.append(Prediction(path, error=str(error)))
        else:
            stem = _free(out / inside, taken, input_files) if segments else out
            results.append(_segmented(model, path, image, stem) if segments else _classified(model, path, image))
        on_image(done, len(found))
    return results


def as_json(result: Prediction) -> dict[str, Any]:
    """Plain values; an unreadable image has its error alone."""
    if result.error:
        return {"image": str(result.image), "error": result.error}
    about = {
        "image": str(result.image),
        "size": list(result.size),
        "labels": list(result.labels),
        "shares": result.shares,
    }
    if result.mask is None:
        return about | {"probabilities": about.pop("shares")}
    return about | {"mask": str(result.mask), "overlay": str(result.overlay)}


def _images(images: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """(image, its place below the folder that was named, without a suffix)."""
    for path in images:
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file())
            if not inside:
                raise DataError(f"{path} holds no image ({', '.join(SUFFIXES)}): name another folder")
            yield from ((one, one.relative_to(path).with_suffix("")) for one in inside)
        elif path.is_file():
            yield path, Path(path.stem)
        else:
            raise DataError(f"{path} is neither a image nor a folder: mend its name")


def _free(stem: Path, taken: set[Path], images: set[str]) -> Path:
    """stem, or stem-2, ... where another image of this call has it, or its mask or overlay would go over a image."""
    free, number = stem, 1
    while free in taken or images & set(map(_file, _places(free))):
        number += 1
        free = stem.with_name(f"{stem.name}-{number}")
    taken.add(free)
    return free


def _places(stem: Path) -> tuple[Path, Path]:
    """Of mask and overlay."""
    return stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}-overlay.jpg")


def _file(path: Path) -> str:
    """One name of the file, whatever links lead to it; without capitals, which some disks don't tell apart."""
    return os.path.realpath(path).casefold()


def _loaded(name: str, checkpoint: str, tta: str, device: str | None) -> _Model:
    run = open_run(name)
    task = run.task
    thresholds = None
    if task == "train-seg":
        network: nn.Module
        network, seg, setup = load_segmenter(run, checkpoint, device)
        size = seg.data.size
    elif task == "train-cls":
        network, cls, setup = load_classifier(run, checkpoint, device)
        size = cls.data.size
        thresholds = run.thresholds(checkpoint, cls.threshold.thresholds)
    else:
        raise ConfigError(f"{run.path} is a run of {task}: predict takes one of train-seg or train-cls")
    return _Model(run, network, size, setup, tta, thresholds)


def _batch(model: _Model, image: np.ndarray) -> list[tuple[Tensor, Tensor]]:
    fitted = resize_to_model(image, model.size)
    return [(torch.tensor([0]), torch.from_numpy(fitted.copy()).permute(2, 0, 1)[None])]


def _classified(model: _Model, path: Path, image: np.ndarray) -> Prediction:
    assert model.thresholds is not None
    probs = predict_label_probs(
        model.network,
        _batch(model, image),
        1,
        device=model.setup.device,
        precision=model.setup.precision,
        tta=model.tta,
    )
    chosen = np.flatnonzero(binarize(probs, model.thresholds)[0])
    ranked = sorted(chosen, key=lambda label: -probs[0, label])
    shares = {CLASSES[label]: float(probs[0, label]) for label in np.argsort(-probs[0], kind="stable")}
    return Prediction(path, "", image.shape[1::-1], tuple(CLASSES[label] for label in ranked), shares)


def _segmented(model: _Model, path: Path, image: np.ndarray, stem: Path) -> Prediction:
    probs = predict_probs(
        model.network, _batch(model, image), device=model.setup.device, precision=model.setup.precision, tta=model.tta
    )
    ((_, labels),) = predict_labels(probs, [(image.shape[0], image.shape[1])])
    counts = np.bincount(labels.ravel(), minlength=len(SEG_CLASSES)) / labels.size
    shares = {
        SEG_CLASSES[label]: float(counts[label]) for label in np.argsort(-counts, kind="stable") if counts[label] > 0
    }
    named = tuple(name for name, share in shares.items() if share >= SHOWN and name != SEG_CLASSES[0])
    mask, overlay = _places(stem)
    try:
        mask.parent.mkdir(parents=True, exist_ok=True)
        write_mask(mask, labels)
        part = overlay.with_name(overlay.name + ".part")
        Image.fromarray(overlay_labels(image, labels)).save(part, format="JPEG", quality=90)
        part.replace(overlay)
    except OSError as error:
        raise RunError(f"{mask} can't be written: {error.strerror}; free space or choose another --out") from error
    return Prediction(path, "", image.shape[1::-1], named, shares, mask, overlay)
