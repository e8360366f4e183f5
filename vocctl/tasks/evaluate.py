"""Score a run on a split, at the photos' own size, and keep what it predicted.

Writes RUN/eval/<data>-<split>/: scores.json, confusion.csv (rows are the truth), labels/<id>.png (mode P, VOC's palette).
plot, report and submit start from there.
"""

import csv
import io
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vocctl.config import TrainSegConfig
from vocctl.data.cache import cached_split, fingerprint
from vocctl.data.datasets import ScoredPhotos
from vocctl.data.loaders import scoring_loader
from vocctl.data.photos import write_mask
from vocctl.data.source import Source, open_dataset
from vocctl.devices import keep_freed_memory, pick_device, pick_precision
from vocctl.errors import ConfigError, DataError, RunError
from vocctl.inference.predict import predict_labels, predict_probs
from vocctl.labels import NUM_SEG_CLASSES, SEG_CLASSES
from vocctl.metrics.confusion import SegScores, confusion_matrix, image_mean_iou, seg_scores
from vocctl.metrics.dice import competition_dice
from vocctl.models.segmenter import Segmenter
from vocctl.runs import find_run, write_text

CHECKPOINTS = ("best", "final")
TTA = ("none", "flip", "ms")


@dataclass(frozen=True)
class EvalResult:
    run: Path
    folder: Path
    data: str
    split: str
    checkpoint: str
    tta: str
    photos: int
    scores: SegScores
    competition_dice: float  # mean over the photos, void as background
    photo_iou: dict[str, float]  # by id: mean IoU of one photo, for picking cases; not VOC's score


def evaluate(
    name: str,
    *,
    data: Path | None = None,
    split: str | None = None,
    checkpoint: str = "best",
    tta: str = "none",
    device: str | None = None,
    on_photo: Callable[[int, int], None] | None = None,
) -> EvalResult:
    """Score a train-seg run; data and split default to those it validated on.

    Raises ConfigError: no such checkpoint kind or tta. DataError: no such run, weights or data missing or broken.
    """
    if checkpoint not in CHECKPOINTS:
        raise ConfigError(f"--checkpoint is {' or '.join(CHECKPOINTS)}, got {checkpoint!r}")
    if tta not in TTA:
        raise ConfigError(f"--tta is one of {', '.join(TTA)}, got {tta!r}")
    run = find_run(name, "train-seg")
    config = run.config(TrainSegConfig())
    where, split = data or Path(config.data.path), split or config.data.val_split
    torch_device = pick_device(device or config.train.device)
    precision = pick_precision(config.train.precision, torch_device)
    if torch_device.type == "cpu":
        keep_freed_memory()
    model = Segmenter(replace(config.model, weights="none"))
    run.load_weights(checkpoint, model)
    model.to(device=torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    source = open_dataset(where)
    cached = cached_split(
        source, split, config.data.size, Path(config.data.cache_dir) if config.data.cache_dir else None
    )
    if not cached.has_masks:
        raise DataError(f"{source.root}: split {split} has no masks to score against, name another --split")
    loader = scoring_loader(ScoredPhotos(cached), config.train.batch, workers=0, pin=torch_device.type == "cuda")
    probs = predict_probs(model, loader, device=torch_device, precision=precision, tta=tta)
    folder = run.path / "eval" / f"{source.name}-{split}"
    part = _fresh_part(folder)
    confusion = torch.zeros(NUM_SEG_CLASSES, NUM_SEG_CLASSES, dtype=torch.int64)
    photo_iou: dict[str, float] = {}
    dice: list[float] = []
    for index, labels in predict_labels(probs, cached.own_sizes, on_photo):
        image_id = cached.ids[index]
        truth = source.mask(image_id)
        counts = confusion_matrix(_tensor(labels), _tensor(truth))
        confusion += counts
        photo_iou[image_id] = image_mean_iou(counts)
        dice.append(competition_dice(labels, truth))
        _write_label_map(part / "labels" / f"{image_id}.png", labels)
    result = EvalResult(
        run=run.path, folder=folder, data=source.name, split=split, checkpoint=checkpoint, tta=tta, photos=len(cached),
        scores=seg_scores(confusion), competition_dice=float(np.mean(dice)),
        photo_iou={image_id: photo_iou[image_id] for image_id in cached.ids},
    )  # fmt: skip
    _write(part, result, confusion, source, cached.ids)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return result


def as_json(result: EvalResult) -> dict[str, Any]:
    """The result as plain values; an undefined score is null."""
    return _plain(asdict(result))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def _tensor(labels: np.ndarray) -> Tensor:
    return torch.from_numpy(labels.copy())


def _fresh_part(folder: Path) -> Path:
    part = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        (part / "labels").mkdir(parents=True)
    except OSError as error:
        raise RunError(f"{part} can't be made: {error.strerror}; free space or mend the folder's rights") from error
    return part


def _write_label_map(path: Path, labels: np.ndarray) -> None:
    try:
        write_mask(path, labels)
    except OSError as error:
        raise RunError(f"{path} can't be written: {error.strerror}; free space and run eval again") from error


def _write(part: Path, result: EvalResult, confusion: Tensor, source: Source, ids: tuple[str, ...]) -> None:
    about = as_json(result) | {"data_path": str(source.root), "fingerprint": fingerprint(source, list(ids))}
    write_text(part / "scores.json", json.dumps(about, indent=2) + "\n")
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["truth \\ predicted", *SEG_CLASSES])
    writer.writerows([name, *row] for name, row in zip(SEG_CLASSES, confusion.tolist(), strict=True))
    write_text(part / "confusion.csv", table.getvalue())
