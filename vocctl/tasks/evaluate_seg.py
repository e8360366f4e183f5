"""`vocctl eval` of a segmenter: score a run on a split, at the images' original sizes, and store what it predicted."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vocctl.config import EvalOptions
from vocctl.data.cache import CachedSplit
from vocctl.data.datasets import EvalDataset
from vocctl.data.loaders import eval_loader
from vocctl.distributed import all_gather_dict, is_main_process, world_size
from vocctl.files import atomic_folder
from vocctl.inference.eval_split import eval_split
from vocctl.inference.load import load_segmenter
from vocctl.inference.predict import predict_label_groups, predict_probs
from vocctl.metrics.confusion import confusion_and_void, image_mean_iou, seg_scores
from vocctl.metrics.dice import dice_of_counts
from vocctl.runs.eval_files import EvalInfo
from vocctl.runs.evaluations import new_evaluation_folder
from vocctl.runs.find import find_run
from vocctl.runs.kinds import SEG
from vocctl.runs.seg_evaluation import SegEvaluation, write_label_map, write_seg_evaluation

SCORING_THREADS = min(os.cpu_count() or 1, 4)
DEFAULTS = EvalOptions()
OnImage = Callable[[int, int], None]  # called with (finished images, all images)


@dataclass(frozen=True)
class _ImageResult:
    confusion: Tensor  # (21, 21) pixels
    dice: float  # the competition's
    label_map: np.ndarray | None  # (H, W) uint8; None once it is written


def evaluate(name: str, options: EvalOptions = DEFAULTS, on_image: OnImage | None = None) -> SegEvaluation:
    """Score a train-seg run and write its folder of RUN/eval/. options.thresholds and options.ci have no effect.

    Raises DataError: no such run, or weights or data are missing or corrupt. RunError: no space.
    """
    run = find_run(name, SEG.task)
    model, config, setup = load_segmenter(run, options.checkpoint, options.device)
    source, split, labeled = eval_split(run, config.data, options.data, options.split)
    images = labeled.images
    loader = eval_loader(
        EvalDataset(images), config.train.batch, workers=0, pin=setup.device.type == "cuda", shared=True
    )
    probs = predict_probs(model, loader, device=setup.device, precision=setup.precision, tta=options.tta)
    folder = new_evaluation_folder(
        [run.path], data=source.name, split=split, data_path=source.root,
        fingerprint=images.fingerprint, checkpoint=options.checkpoint, tta=options.tta, thresholds=None,
    )  # fmt: skip
    info = EvalInfo(
        folder=folder, data=source.name, split=split, checkpoint=options.checkpoint, tta=options.tta,
        num_images=len(images), data_path=str(source.root.absolute()), fingerprint=images.fingerprint,
    )  # fmt: skip
    with atomic_folder(info.folder) as folder:
        batches = predict_label_groups(probs, images.original_sizes, on_image)
        local = _score_images(batches, images, folder)
        gathered = all_gather_dict(local)
        results = {image_id: gathered[image_id] for image_id in images.ids}
        for image_id, result in results.items():
            if result.label_map is not None and is_main_process():
                write_label_map(folder, image_id, result.label_map)
        confusions = torch.stack([result.confusion for result in results.values()])
        evaluation = _evaluation(info, confusions, results)
        write_seg_evaluation(folder, evaluation, confusions.numpy())
    return evaluation


def _score_images(
    batches: Iterable[Sequence[tuple[int, np.ndarray]]], images: CachedSplit, folder: Path
) -> dict[str, _ImageResult]:
    """Score label maps, and in a single process write them. batches: (image index, label map (H, W) uint8).

    Several processes send their label maps to the main process, which writes.
    """
    distributed = world_size() > 1

    def score(label_maps: Sequence[tuple[int, np.ndarray]]) -> dict[str, _ImageResult]:
        results = {}
        for index, label_map in label_maps:
            image_id = images.ids[index]
            mask = torch.from_numpy(images.original_mask(index))
            confusion, void = confusion_and_void(torch.from_numpy(label_map), mask)
            dice = dice_of_counts(confusion, void)
            results[image_id] = _ImageResult(confusion, dice, label_map if distributed else None)
            if not distributed:
                write_label_map(folder, image_id, label_map)
        return results

    results: dict[str, _ImageResult] = {}
    # decompressing masks, counting and compressing label maps release the interpreter lock
    with ThreadPoolExecutor(SCORING_THREADS) as pool:
        for batch in batches:
            for part in pool.map(score, [batch[start::SCORING_THREADS] for start in range(SCORING_THREADS)]):
                results |= part
    return results


def _evaluation(info: EvalInfo, confusions: Tensor, results: Mapping[str, _ImageResult]) -> SegEvaluation:
    """confusions: (N, 21, 21), in the order of results."""
    values = asdict(seg_scores(confusions.sum(0)))
    absent_classes = values.pop("absent")
    per_class = {metric: value for metric, value in values.items() if isinstance(value, dict)}
    scores = {metric: value for metric, value in values.items() if metric not in per_class}
    scores["competition_dice"] = float(np.mean([result.dice for result in results.values()]))
    image_iou = dict(zip(results, image_mean_iou(confusions).tolist(), strict=True))
    return SegEvaluation(
        info=info, scores=scores, per_class=per_class, absent_classes=absent_classes, image_iou=image_iou
    )
