"""A run's model with its trained weights, where it will predict; and what a classifier says of photos."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch

from vocctl.config import TrainClsConfig, TrainConfig, TrainSegConfig
from vocctl.data.cache import CachedSplit
from vocctl.data.datasets import ScoredPhotos
from vocctl.data.loaders import scoring_loader
from vocctl.devices import keep_freed_memory, pick_device
from vocctl.inference.predict import predict_label_probs
from vocctl.models.classifier import Classifier
from vocctl.models.segmenter import Segmenter
from vocctl.runs.folder import RunFolder
from vocctl.training.trainer import Hardware, hardware

Model = TypeVar("Model", bound=torch.nn.Module)


def scoring_hardware(train: TrainConfig, device: str | None) -> Hardware:
    """device: in place of the run's own. A run that was trained in fp16, on a GPU, finds its precision here by itself."""
    train = train if device is None else replace(train, device=device)
    if train.precision == "fp16" and pick_device(train.device).type == "cpu":
        train = replace(train, precision="auto")
    here = hardware(train)
    if here.device.type == "cpu":
        keep_freed_memory()
    return here


def load_classifier(run: RunFolder, checkpoint: str, device: str | None) -> tuple[Classifier, TrainClsConfig, Hardware]:
    """Raises ConfigError: no such device. DataError: weights missing or broken."""
    config = run.config(TrainClsConfig())
    here = scoring_hardware(config.train, device)
    model = Classifier(replace(config.model, weights="none"), config.data.size)
    run.load_weights(checkpoint, model)
    return _to_device(model, here), config, here


def load_segmenter(run: RunFolder, checkpoint: str, device: str | None) -> tuple[Segmenter, TrainSegConfig, Hardware]:
    """As load_classifier."""
    config = run.config(TrainSegConfig())
    here = scoring_hardware(config.train, device)
    model = Segmenter(replace(config.model, weights="none"))
    run.load_weights(checkpoint, model)
    return _to_device(model, here), config, here


def classifier_probs(
    run: RunFolder,
    photos: CachedSplit,
    *,
    checkpoint: str,
    tta: str,
    device: str | None,
    on_photo: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """(N, 20): one run's probabilities of photos cached at the size that it was trained for."""
    model, config, here = load_classifier(run, checkpoint, device)
    loader = scoring_loader(
        ScoredPhotos(photos), config.train.batch, workers=0, pin=here.device.type == "cuda", shared=True
    )
    return predict_label_probs(
        model,
        loader,
        len(photos),
        device=here.device,
        precision=here.precision,
        tta=tta,
        on_photo=on_photo,
        shared=True,
    )


def _to_device(model: Model, here: Hardware) -> Model:
    return model.to(device=here.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
