"""Score a run on a split, at the images' own size, and keep what it predicted.

Writes RUN/eval/<data>-<split>/: scores.json, confusion.csv (rows are the truth), images.csv (the same counts of each image,
those that are not 0), labels/<id>.png (mode P, VOC's palette).
plot, report and submit start from there.
"""

import csv
import io
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vocctl.data.cache import CachedSplit
from vocctl.data.datasets import EvalDataset
from vocctl.data.images import mask_png
from vocctl.data.loaders import eval_loader
from vocctl.data.source import Source
from vocctl.distributed import all_gather_dict, is_main_process, world_size
from vocctl.errors import RunError
from vocctl.files import to_json, write_text
from vocctl.inference.evaluation import (
    check_eval_options,
    eval_split,
    new_partial_folder,
    publish_folder,
)
from vocctl.inference.load import load_segmenter
from vocctl.inference.predict import predict_label_runs, predict_probs
from vocctl.labels import SEG_CLASSES
from vocctl.metrics.confusion import SegScores, confusion_and_void, image_mean_iou, seg_scores
from vocctl.metrics.dice import dice_of_counts
from vocctl.runs.find import find_run

SCORERS = min(os.cpu_count() or 1, 4)  # threads


@dataclass(frozen=True)
class SegEvalResult:
    run: Path
    folder: Path
    data: str
    split: str
    checkpoint: str
    tta: str
    images: int
    scores: SegScores
    competition_dice: float  # mean over the images, void as background
    image_iou: dict[str, float]  # by id: mean IoU of one image, for picking cases; not VOC's score


@dataclass(frozen=True)
class _OneImage:
    counts: Tensor  # (21, 21)
    dice: float
    labels: np.ndarray | None  # on their way to the rank that writes


def evaluate(
    name: str,
    *,
    data: Path | None = None,
    split: str | None = None,
    checkpoint: str = "best",
    tta: str = "none",
    device: str | None = None,
    on_image: Callable[[int, int], None] | None = None,
) -> SegEvalResult:
    """Score a train-seg run; data and split default to those it validated on.

    Raises ConfigError: no such checkpoint kind or tta. DataError: no such run, weights or data missing or broken.
    """
    check_eval_options(checkpoint, tta)
    run = find_run(name, "train-seg")
    model, config, here = load_segmenter(run, checkpoint, device)
    source, split, scored = eval_split(run, config.data, data, split)
    cached = scored.images
    loader = eval_loader(
        EvalDataset(cached), config.train.batch, workers=0, pin=here.device.type == "cuda", shared=True
    )
    probs = predict_probs(model, loader, device=here.device, precision=here.precision, tta=tta)
    folder = run.path / "eval" / f"{source.name}-{split}"
    part = new_partial_folder(folder, "labels")
    label_maps = part / "labels"

    def score(found: list[tuple[int, np.ndarray]]) -> dict[str, _OneImage]:
        done = {}
        for index, labels in found:
            image_id = cached.ids[index]
            counts, void = confusion_and_void(torch.from_numpy(labels), torch.from_numpy(cached.original_mask(index)))
            done[image_id] = _OneImage(counts, dice_of_counts(counts, void), labels if world_size() > 1 else None)
            if world_size() == 1:
                _write_label_map(label_maps / f"{image_id}.png", labels)
        return done

    mine: dict[str, _OneImage] = {}
    with ThreadPoolExecutor(SCORERS) as pool:  # inflating, counting and deflating let other threads run
        for found in predict_label_runs(probs, cached.original_sizes, on_image):
            for done in pool.map(score, [found[first::SCORERS] for first in range(SCORERS)]):
                mine |= done
    held = all_gather_dict(mine)
    images = {image_id: held[image_id] for image_id in cached.ids}
    confusions = torch.stack([one.counts for one in images.values()])
    confusion = confusions.sum(0)
    result = SegEvalResult(
        run=run.path, folder=folder, data=source.name, split=split, checkpoint=checkpoint, tta=tta, images=len(cached),
        scores=seg_scores(confusion), competition_dice=float(np.mean([one.dice for one in images.values()])),
        image_iou=dict(zip(images, image_mean_iou(confusions).tolist(), strict=True)),
    )  # fmt: skip
    for image_id, one in images.items():
        if one.labels is not None and is_main_process():
            _write_label_map(label_maps / f"{image_id}.png", one.labels)
    _write(part, result, confusion, source, cached)
    _write_images(part / "images.csv", list(images), confusions)
    publish_folder(part, folder)
    return result


def as_json(result: SegEvalResult) -> dict[str, Any]:
    """The result as plain values; an undefined score is null."""
    values: dict[str, Any] = to_json(asdict(result))
    return values


def _write_label_map(path: Path, labels: np.ndarray) -> None:
    try:
        path.write_bytes(mask_png(labels))  # the folder is put in place when it is whole
    except OSError as error:
        raise RunError(f"{path} can't be written: {error.strerror}; free space and run eval again") from error


def _write(part: Path, result: SegEvalResult, confusion: Tensor, source: Source, images: CachedSplit) -> None:
    about = as_json(result) | {"data_path": str(source.root), "fingerprint": images.fingerprint}
    write_text(part / "scores.json", json.dumps(about, indent=2) + "\n")
    rows = [["truth \\ predicted", *SEG_CLASSES]]
    rows += [[name, *row] for name, row in zip(SEG_CLASSES, confusion.tolist(), strict=True)]
    _write_csv(part / "confusion.csv", rows)


def _write_images(path: Path, ids: list[str], confusions: Tensor) -> None:
    """confusions: (N, 21, 21), of the images in their order."""
    held = confusions.nonzero()
    pixels = confusions[tuple(held.T)].tolist()
    rows: list[list[Any]] = [["id", "truth", "predicted", "pixels"]]
    rows += [
        [ids[image], SEG_CLASSES[truth], SEG_CLASSES[predicted], count]
        for (image, truth, predicted), count in zip(held.tolist(), pixels, strict=True)
    ]
    _write_csv(path, rows)


def _write_csv(path: Path, rows: list[list[Any]]) -> None:
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(rows)
    write_text(path, table.getvalue())
