"""Load a run's model with its trained weights, and predict with a classifier."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch

from vocctl.config import TrainClsConfig, TrainConfig, TrainSegConfig
from vocctl.data.cache import CachedSplit
from vocctl.data.datasets import EvalDataset
from vocctl.data.loaders import eval_loader
from vocctl.devices import DeviceSetup, device_setup, disable_malloc_trim, pick_device
from vocctl.inference.predict import predict_label_probs
from vocctl.models.classifier import Classifier
from vocctl.models.segmenter import Segmenter
from vocctl.runs.folder import RunFolder

Model = TypeVar("Model", bound=torch.nn.Module)


def eval_setup(train: TrainConfig, device: str | None) -> DeviceSetup:
    """Choose device and precision to evaluate with. device: overrides the run's.

    A run that was trained in fp16, on a GPU, gets the precision of "auto" on a CPU. Raises ConfigError: no such device.
    """
    train = train if device is None else replace(train, device=device)
    if train.precision == "fp16" and pick_device(train.device).type == "cpu":
        train = replace(train, precision="auto")
    setup = device_setup(train.device, train.precision)
    if setup.device.type == "cpu":
        disable_malloc_trim()
    return setup


def load_classifier(
    run: RunFolder, checkpoint: str, device: str | None
) -> tuple[Classifier, TrainClsConfig, DeviceSetup]:
    """Load the weights of a checkpoint, best or final. device: overrides the run's.

    Raises ConfigError: no such device. DataError: weights are missing, corrupt, or another model's.
    """
    config = run.config(TrainClsConfig())
    setup = eval_setup(config.train, device)
    model = Classifier(config.model, config.data.size, load_pretrained=False)
    run.load_weights(checkpoint, model)
    return _to_device(model, setup), config, setup


def load_segmenter(
    run: RunFolder, checkpoint: str, device: str | None
) -> tuple[Segmenter, TrainSegConfig, DeviceSetup]:
    """Load a segmenter. Arguments, result and errors are those of load_classifier."""
    config = run.config(TrainSegConfig())
    setup = eval_setup(config.train, device)
    model = Segmenter(config.model, load_pretrained=False)
    run.load_weights(checkpoint, model)
    return _to_device(model, setup), config, setup


def classifier_probs(
    run: RunFolder,
    images: CachedSplit,
    *,
    checkpoint: str,
    tta: str,
    device: str | None,
    on_image: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Return (N, 20) probabilities of one run. images: cached at the run's input size."""
    model, config, setup = load_classifier(run, checkpoint, device)
    loader = eval_loader(
        EvalDataset(images), config.train.batch, workers=0, pin=setup.device.type == "cuda", shared=True
    )
    return predict_label_probs(
        model,
        loader,
        len(images),
        device=setup.device,
        precision=setup.precision,
        tta=tta,
        on_image=on_image,
        shared=True,
    )


def _to_device(model: Model, setup: DeviceSetup) -> Model:
    return model.to(device=setup.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
