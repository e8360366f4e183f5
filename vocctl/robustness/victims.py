"""Runs as targets of an attack: differentiable from a photo at its own size, and scored as `vocctl eval` scores them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vocctl.data.cache import fitted_photo
from vocctl.data.loaders import equal_shapes
from vocctl.distributed import rank, world
from vocctl.errors import ConfigError, DataError
from vocctl.inference.load import load_classifier, load_segmenter
from vocctl.inference.predict import predict_label_probs, predict_labels, predict_probs
from vocctl.models.depthwise import train_depthwise_in_fp32
from vocctl.models.input_resize import Resized, Together
from vocctl.runs.folder import RunFolder, open_run
from vocctl.training.trainer import Hardware

TASKS = ("train-cls", "train-seg")
OnPhoto = Callable[[int, int], None]


@dataclass(frozen=True)
class Target:
    """One run, or several of one task whose mean probabilities count. forward: what an attack differentiates."""

    runs: tuple[RunFolder, ...]
    task: str
    checkpoint: str
    config: Any  # of the first run
    models: tuple[nn.Module, ...]
    sizes: tuple[int, ...]
    forward: Together
    here: Hardware

    @property
    def name(self) -> str:
        return "+".join(run.path.name for run in self.runs)

    @property
    def segments(self) -> bool:
        return self.task == "train-seg"


def open_target(names: Sequence[str], checkpoint: str, device: str | None) -> Target:
    """Frozen, in evaluation mode. Raises DataError: no such run, or no weights; ConfigError: runs of different tasks."""
    runs = tuple(open_run(name) for name in names)
    tasks = {str(run.about().get("task")) for run in runs}
    if not tasks <= set(TASKS):
        raise DataError(
            f"{runs[0].path} is a run of {', '.join(sorted(tasks))}: a target is a classifier or a segmenter"
        )
    if len(tasks) > 1:
        raise ConfigError("runs that are attacked as one are all classifiers or all segmenters: name one kind")
    task = tasks.pop()
    load = load_segmenter if task == "train-seg" else load_classifier
    loaded = [load(run, checkpoint, device) for run in runs]
    models, sizes, here = [], [], loaded[0][2]
    for model, config, _ in loaded:
        if here.device.type == "cpu" and here.precision == "bf16":
            train_depthwise_in_fp32(model)
        models.append(model.to(here.device))  # runs may have been trained on different ones
        sizes.append(config.data.size)
    if task == "train-seg" and len(set(sizes)) > 1:
        raise ConfigError(
            f"segmenters that are attacked as one have one --size, these have {', '.join(map(str, sizes))}"
        )
    # a mean over pixels has gradients below fp16's least
    precise = "fp32" if here.precision == "fp16" else here.precision
    together = Together([Resized(model, size, precise) for model, size in zip(models, sizes, strict=True)])
    return Target(runs, task, checkpoint, loaded[0][1], tuple(models), tuple(sizes), together, here)


def label_probs(target: Target, photos: Sequence[np.ndarray], on_photo: OnPhoto | None = None) -> np.ndarray:
    """(N, 20) probabilities of a classifier. photos: (H, W, 3) uint8, each at its own size."""
    each = [
        predict_label_probs(
            model, _batches(photos, size, target), len(photos),
            device=target.here.device, precision=target.here.precision, on_photo=on_photo, shared=True,
        )
        for model, size in zip(target.models, target.sizes, strict=True)
    ]  # fmt: skip
    return np.mean(each, axis=0)


def label_maps(
    target: Target, photos: Sequence[np.ndarray], on_photo: OnPhoto | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """(index, (H, W) uint8) of a segmenter, at the photos' own size; not in their order, and this rank's share alone."""
    own_sizes = [photo.shape[:2] for photo in photos]
    streams = [
        predict_probs(
            model, _batches(photos, size, target), device=target.here.device, precision=target.here.precision
        )
        for model, size in zip(target.models, target.sizes, strict=True)
    ]  # fmt: skip
    return predict_labels(_averaged(streams), own_sizes, on_photo)


def _averaged(streams: list[Iterator[tuple[Tensor, Tensor]]]) -> Iterator[tuple[Tensor, Tensor]]:
    for parts in zip(*streams, strict=True):
        yield parts[0][0], parts[0][1] if len(parts) == 1 else torch.stack([probs for _, probs in parts]).mean(0)


def _batches(photos: Sequence[np.ndarray], size: int, target: Target) -> Iterator[tuple[Tensor, Tensor]]:
    """(indices, images (B, 3, h, w) uint8) as the run's own evaluation batches them and deals them out to the ranks."""
    seen = [fitted_photo(photo, size) for photo in photos]
    for batch in equal_shapes([photo.shape[:2] for photo in seen], target.config.train.batch)[rank() :: world()]:
        stacked = np.stack([seen[index] for index in batch])
        yield torch.tensor(batch), torch.from_numpy(stacked).permute(0, 3, 1, 2)
