"""Runs as victims of an attack: differentiable on images at their original sizes, and scored as `vocctl eval` scores them.

SegmenterVictim and ClassifierVictim have the same methods. What differs between the two kinds of run in robustness
evaluation stands here and in outcomes.py.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from vocctl.config import TrainClsConfig, TrainSegConfig
from vocctl.data.loaders import same_shape_batches
from vocctl.data.resize import resize_to_model
from vocctl.data.source import Source
from vocctl.data.splits import LabeledSplit
from vocctl.devices import DeviceSetup
from vocctl.distributed import all_gather_dict, rank, world_size
from vocctl.errors import ConfigError, DataError
from vocctl.inference.ensemble import mean_probs
from vocctl.inference.load import load_classifier, load_segmenter
from vocctl.inference.predict import predict_label_probs, predict_labels, predict_probs
from vocctl.metrics.confusion import confusion_matrix
from vocctl.metrics.robustness import binary_cross_entropy
from vocctl.models.depthwise import train_depthwise_in_fp32
from vocctl.models.input_resize import LogitEnsemble, ResizeWrapper
from vocctl.robustness.outcomes import GroundTruth, LabelPredictions, MaskPredictions
from vocctl.runs.find import open_run
from vocctl.runs.folder import RunFolder
from vocctl.runs.kinds import CLS, SEG

OnImage = Callable[[int, int], None]  # images done, of all
CorruptMask = Callable[[np.ndarray, int], np.ndarray]  # what a corruption does to the mask of the image of this index


@dataclass(frozen=True)
class SegmenterVictim:
    """One run of train-seg, or several whose mean probabilities are the prediction.

    forward: (B, 3, H, W) in [0, 1] to logits (B, 21, H, W); attacks differentiate it. config: of the first run.
    """

    runs: tuple[RunFolder, ...]
    checkpoint: str
    config: TrainSegConfig
    members: tuple[ResizeWrapper, ...]
    forward: LogitEnsemble
    setup: DeviceSetup
    task: ClassVar[str] = SEG.task
    metric: ClassVar[str] = SEG.main_metric.key

    @classmethod
    def open(cls, runs: tuple[RunFolder, ...], checkpoint: str, device: str | None) -> "SegmenterVictim":
        loaded = [load_segmenter(run, checkpoint, device) for run in runs]
        config, setup = loaded[0][1:]
        models = [(model, config.data.size) for model, config, _ in loaded]
        if len({size for _, size in models}) > 1:
            sizes = ", ".join(str(size) for _, size in models)
            raise ConfigError(
                f"segmenters that are attacked as an ensemble must have the same --size, these have {sizes}"
            )
        members = _freeze(models, setup)
        return cls(runs, checkpoint, config, members, LogitEnsemble(members), setup)

    @property
    def name(self) -> str:
        return _joined_names(self.runs)

    def read_labels(self, source: Source, split: LabeledSplit, indices: np.ndarray) -> list[np.ndarray]:
        """The masks (H, W) of these images of the split."""
        return [source.mask(split.images.ids[index]) for index in indices]

    def corrupt_labels(
        self, labels: Sequence[np.ndarray], corrupt_mask: Callable[[np.ndarray, int], np.ndarray]
    ) -> list[np.ndarray]:
        """The masks of corrupted images. corrupt_mask: what the corruption does to a mask, the second argument its index."""
        return [corrupt_mask(mask, index) for index, mask in enumerate(labels)]

    def devkit_labels(self, truth: GroundTruth) -> dict[str, Any]:
        """The labels as keyword arguments of data/devkit.py's write_devkit."""
        return {"masks": truth.labels}

    def predict(
        self, images: Sequence[np.ndarray], truth: GroundTruth, on_image: OnImage | None = None
    ) -> MaskPredictions:
        """Predict the images of truth, clean or adversarial. images: (H, W, 3) uint8 each, in truth's order."""
        streams = [
            predict_probs(
                member.model, _batches(images, member.size, self.config.train.batch),
                device=self.setup.device, precision=self.setup.precision,
            )
            for member in self.members
        ]  # fmt: skip
        sizes = [image.shape[:2] for image in images]
        local = {}  # this process predicts a part of the images
        for index, label_map in predict_labels(_mean_of_streams(streams), sizes, on_image):
            mask = torch.from_numpy(truth.labels[index].copy())
            local[index] = label_map, confusion_matrix(torch.from_numpy(label_map.copy()), mask).numpy()
        predicted = all_gather_dict(local)
        label_maps, confusions = zip(*(predicted[index] for index in range(len(images))), strict=True)
        return MaskPredictions.from_label_maps(label_maps, confusions)


@dataclass(frozen=True)
class ClassifierVictim:
    """One run of train-cls, or several whose mean probabilities are the prediction.

    forward: (B, 3, H, W) in [0, 1] to logits (B, 20); attacks differentiate it. config: of the first run.
    """

    runs: tuple[RunFolder, ...]
    checkpoint: str
    config: TrainClsConfig
    members: tuple[ResizeWrapper, ...]
    forward: LogitEnsemble
    setup: DeviceSetup
    thresholds: np.ndarray  # (20,) fitted when the run was trained; the mean over several runs
    task: ClassVar[str] = CLS.task
    metric: ClassVar[str] = CLS.main_metric.key

    @classmethod
    def open(cls, runs: tuple[RunFolder, ...], checkpoint: str, device: str | None) -> "ClassifierVictim":
        loaded = [load_classifier(run, checkpoint, device) for run in runs]
        config, setup = loaded[0][1:]
        members = _freeze([(model, config.data.size) for model, config, _ in loaded], setup)
        thresholds = np.mean([run.thresholds(checkpoint, config.threshold.thresholds) for run in runs], axis=0)
        return cls(runs, checkpoint, config, members, LogitEnsemble(members), setup, thresholds)

    @property
    def name(self) -> str:
        return _joined_names(self.runs)

    def read_labels(self, source: Source, split: LabeledSplit, indices: np.ndarray) -> list[np.ndarray]:
        """The targets (20,) of these images of the split."""
        return list(split.targets[indices])

    def corrupt_labels(
        self, labels: Sequence[np.ndarray], corrupt_mask: Callable[[np.ndarray, int], np.ndarray]
    ) -> list[np.ndarray]:
        """The targets of corrupted images: no corruption changes them."""
        return list(labels)

    def devkit_labels(self, truth: GroundTruth) -> dict[str, Any]:
        """The labels as keyword arguments of data/devkit.py's write_devkit."""
        return {"targets": np.stack(truth.labels)}

    def predict(
        self, images: Sequence[np.ndarray], truth: GroundTruth, on_image: OnImage | None = None
    ) -> LabelPredictions:
        """Predict the images of truth, clean or adversarial. images: (H, W, 3) uint8 each, in truth's order."""
        probs = mean_probs(
            [
                predict_label_probs(
                    member.model, _batches(images, member.size, self.config.train.batch), len(images),
                    device=self.setup.device, precision=self.setup.precision, on_image=on_image, shared=True,
                )
                for member in self.members
            ]
        )  # fmt: skip
        return LabelPredictions(binary_cross_entropy(probs, np.stack(truth.labels)), probs, self.thresholds)


Victim = SegmenterVictim | ClassifierVictim
VICTIM_CLASSES: dict[str, type[SegmenterVictim] | type[ClassifierVictim]] = {
    kind.task: kind for kind in (SegmenterVictim, ClassifierVictim)
}


def open_victim(names: Sequence[str], checkpoint: str, device: str | None) -> Victim:
    """Open one run, or several of one task as an ensemble: frozen, in evaluation mode.

    checkpoint: best or final. device: None for that of the run. Raises DataError: no such run, not a classifier or a
    segmenter, no weights. ConfigError: runs of different tasks, or segmenters of different sizes.
    """
    runs = tuple(open_run(name) for name in names)
    tasks = {run.task for run in runs}
    if not tasks <= VICTIM_CLASSES.keys():
        raise DataError(
            f"{runs[0].path} is a run of {', '.join(sorted(tasks))} and cannot be attacked: name a run of train-cls or "
            "train-seg"
        )
    if len(tasks) > 1:
        raise ConfigError("all runs of an ensemble must have the same task: name only classifiers, or only segmenters")
    return VICTIM_CLASSES[tasks.pop()].open(runs, checkpoint, device)


def check_same_validation_images(victims: Sequence[Victim]) -> None:
    """Raise DataError if the runs were validated on different images: some would be attacked on their training images."""
    first, *others = [run for victim in victims for run in victim.runs]
    for run in others:
        if run.split_ids("val") != first.split_ids("val"):
            raise DataError(
                f"{run.path} and {first.path} were validated on different images: choose --data and --split with images "
                "that none of them was trained on"
            )


def _freeze(models: Sequence[tuple[nn.Module, int]], setup: DeviceSetup) -> tuple[ResizeWrapper, ...]:
    """models: each with the side of the images that it was trained on."""
    # the gradient of a mean over pixels is smaller than the smallest fp16 number
    precision = "fp32" if setup.precision == "fp16" else setup.precision
    wrappers = []
    for model, size in models:
        if setup.device.type == "cpu" and setup.precision == "bf16":
            train_depthwise_in_fp32(model)
        wrappers.append(ResizeWrapper(model.to(setup.device), size, precision))  # runs may come from different devices
    return tuple(wrappers)


def _joined_names(runs: Sequence[RunFolder]) -> str:
    return "+".join(run.path.name for run in runs)


def _mean_of_streams(streams: Sequence[Iterator[tuple[Tensor, Tensor]]]) -> Iterator[tuple[Tensor, Tensor]]:
    """streams: (indices (B,), probs (B, K, H, W)) of each model; all in the same order."""
    for batches in zip(*streams, strict=True):
        yield batches[0][0], mean_probs([probs for _, probs in batches])


def _batches(images: Sequence[np.ndarray], size: int, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """This process's batches, (indices (B,), images (B, 3, h, w) uint8), as the run's own evaluation makes them."""
    resized = [resize_to_model(image, size) for image in images]
    batches = same_shape_batches([image.shape[:2] for image in resized], batch_size)
    for batch in batches[rank() :: world_size()]:
        stacked = np.stack([resized[index] for index in batch])
        yield torch.tensor(batch), torch.from_numpy(stacked).permute(0, 3, 1, 2)
