"""Runs as targets of an attack: differentiable from a image at its own size, and scored as `vocctl eval` scores them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vocctl.data.cache import resize_to_model
from vocctl.data.loaders import same_shape_batches
from vocctl.devices import DeviceSetup
from vocctl.distributed import rank, world_size
from vocctl.errors import ConfigError, DataError
from vocctl.inference.load import load_classifier, load_segmenter
from vocctl.inference.predict import predict_label_probs, predict_labels, predict_probs
from vocctl.models.depthwise import train_depthwise_in_fp32
from vocctl.models.input_resize import LogitEnsemble, ResizeWrapper
from vocctl.runs.find import open_run
from vocctl.runs.folder import RunFolder

TASKS = ("train-cls", "train-seg")
OnImage = Callable[[int, int], None]


@dataclass(frozen=True)
class Victim:
    """One run, or several of one task whose mean probabilities count. forward: what an attack differentiates."""

    runs: tuple[RunFolder, ...]
    task: str
    checkpoint: str
    config: Any  # of the first run
    models: tuple[nn.Module, ...]
    sizes: tuple[int, ...]
    forward: LogitEnsemble
    setup: DeviceSetup

    @property
    def name(self) -> str:
        return "+".join(run.path.name for run in self.runs)

    @property
    def segments(self) -> bool:
        return self.task == "train-seg"


def open_victim(names: Sequence[str], checkpoint: str, device: str | None) -> Victim:
    """Frozen, in evaluation mode. Raises DataError: no such run, or no weights; ConfigError: runs of different tasks."""
    runs = tuple(open_run(name) for name in names)
    tasks = {run.task for run in runs}
    if not tasks <= set(TASKS):
        raise DataError(
            f"{runs[0].path} is a run of {', '.join(sorted(tasks))}: a target is a classifier or a segmenter"
        )
    if len(tasks) > 1:
        raise ConfigError("runs that are attacked as one are all classifiers or all segmenters: name one kind")
    task = tasks.pop()
    load = load_segmenter if task == "train-seg" else load_classifier
    loaded = [load(run, checkpoint, device) for run in runs]
    models, sizes, setup = [], [], loaded[0][2]
    for model, config, _ in loaded:
        if setup.device.type == "cpu" and setup.precision == "bf16":
            train_depthwise_in_fp32(model)
        models.append(model.to(setup.device))  # runs may have been trained on different ones
        sizes.append(config.data.size)
    if task == "train-seg" and len(set(sizes)) > 1:
        raise ConfigError(
            f"segmenters that are attacked as one have one --size, these have {', '.join(map(str, sizes))}"
        )
    # a mean over pixels has gradients below fp16's least
    precise = "fp32" if setup.precision == "fp16" else setup.precision
    together = LogitEnsemble([ResizeWrapper(model, size, precise) for model, size in zip(models, sizes, strict=True)])
    return Victim(runs, task, checkpoint, loaded[0][1], tuple(models), tuple(sizes), together, setup)


def label_probs(target: Victim, images: Sequence[np.ndarray], on_image: OnImage | None = None) -> np.ndarray:
    """(N, 20) probabilities of a classifier. images: (H, W, 3) uint8, each at its own size."""
    each = [
        predict_label_probs(
            model, _batches(images, size, target), len(images),
            device=target.setup.device, precision=target.setup.precision, on_image=on_image, shared=True,
        )
        for model, size in zip(target.models, target.sizes, strict=True)
    ]  # fmt: skip
    return np.mean(each, axis=0)


def label_maps(
    target: Victim, images: Sequence[np.ndarray], on_image: OnImage | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """(index, (H, W) uint8) of a segmenter, at the images' own size; not in their order, and this rank's share alone."""
    original_sizes = [image.shape[:2] for image in images]
    streams = [
        predict_probs(
            model, _batches(images, size, target), device=target.setup.device, precision=target.setup.precision
        )
        for model, size in zip(target.models, target.sizes, strict=True)
    ]  # fmt: skip
    return predict_labels(_averaged(streams), original_sizes, on_image)


def _averaged(streams: list[Iterator[tuple[Tensor, Tensor]]]) -> Iterator[tuple[Tensor, Tensor]]:
    for parts in zip(*streams, strict=True):
        yield parts[0][0], parts[0][1] if len(parts) == 1 else torch.stack([probs for _, probs in parts]).mean(0)


def _batches(images: Sequence[np.ndarray], size: int, target: Victim) -> Iterator[tuple[Tensor, Tensor]]:
    """(indices, images (B, 3, h, w) uint8) as the run's own evaluation batches them and deals them out to the ranks."""
    seen = [resize_to_model(image, size) for image in images]
    for batch in same_shape_batches([image.shape[:2] for image in seen], target.config.train.batch)[
        rank() :: world_size()
    ]:
        stacked = np.stack([seen[index] for index in batch])
        yield torch.tensor(batch), torch.from_numpy(stacked).permute(0, 3, 1, 2)
