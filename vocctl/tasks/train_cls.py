"""Train a classifier: a config in, a run folder, its thresholds and its scores out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from vocctl.config import THRESHOLDS, TrainClsConfig
from vocctl.data.datasets import EvalDataset, TrainDataset
from vocctl.data.loaders import eval_loader
from vocctl.data.splits import LabeledSplit, Splits, open_splits
from vocctl.devices import DeviceSetup, loader_workers
from vocctl.errors import DataError
from vocctl.inference.predict import predict_features, predict_label_probs
from vocctl.inference.thresholds import binarize, fit_thresholds
from vocctl.labels import CLASSES
from vocctl.losses.classification import bce_loss, loss_function
from vocctl.metrics.average_precision import class_aps, mean_defined
from vocctl.metrics.multilabel import decision_scores
from vocctl.models.classifier import Classifier
from vocctl.runs.folder import RunFolder, create_run, new_run_dir
from vocctl.seeding import seed_everything
from vocctl.training.adversarial import adversarial_examples, training_attack
from vocctl.training.probe import linear_probe
from vocctl.training.signals import InterruptCheck
from vocctl.training.trainer import (
    Loss,
    Recipe,
    Scores,
    TrainingCallbacks,
    TrainResult,
    check_data_unchanged,
    encoder_lr_scale,
    explain_oom,
    resumable,
    run_to_resume,
    train_model,
    training_setup,
    write_run_info,
)

TASK = "train-cls"
PROBED = 20_000  # images that the head is fitted to at most, evenly spaced: 100 MB of features
LARGEST_WEIGHT = 20.0  # of --pos-weight auto; a class of two images would drown the others


def run(
    config: TrainClsConfig,
    out: Path | None = None,
    *,
    name: str | None = None,
    callbacks: TrainingCallbacks = TrainingCallbacks(),
) -> TrainResult:
    """Train from the start into out, or into runs/cls/<name>; the name comes from the config where none is given.

    Raises VocctlError in its kinds: see errors.py.
    """
    training_setup(config.train)  # what can be refused is, before any work is done
    training_attack(config.adversarial_training)
    splits = open_splits(config.data, TASK, callbacks.on_count)
    check_class_coverage(splits, callbacks)
    seed_everything(config.train.seed)
    with explain_oom(config.train, config.data):
        model = Classifier(config.model, config.data.size)
        plain = f"{splits.source.name}-{config.model.model}-{config.loss.loss}-s{config.train.seed}"
        folder = create_run(new_run_dir(out, name, "cls", plain), TASK, config)
        return _train(folder, config, splits, model, callbacks, resume=False)


def resume(name: str, *, callbacks: TrainingCallbacks = TrainingCallbacks()) -> TrainResult:
    """Go on with a run where its last state stands: on a CPU the same as if it had never stopped.

    Raises DataError: no such run, no state that can be read, or the data has changed since. ConfigError: it has finished, or
    does not work on this hardware.
    """
    folder, config = run_to_resume(name, TASK, TrainClsConfig())
    training_setup(config.train)
    splits = open_splits(config.data, TASK, callbacks.on_count)
    check_data_unchanged(folder, splits)
    seed_everything(config.train.seed)
    resumed = resumable(folder, callbacks)
    with explain_oom(config.train, config.data):
        model = Classifier(replace(config.model, weights="none") if resumed else config.model, config.data.size)
        return _train(folder, config, splits, model, callbacks, resume=resumed)


def check_class_coverage(splits: Splits, callbacks: TrainingCallbacks) -> None:
    """Say which classes a side lacks. Raises DataError where it has no positive label at all."""
    for side, part in (("train", splits.train), ("validation", splits.val)):
        lacking = [name for name, count in zip(CLASSES, (_targets(part) == 1).sum(0), strict=True) if count == 0]
        if len(lacking) == len(CLASSES):
            raise DataError(f"{splits.source.root}: no image of the {side} part has a class, name another split")
        if lacking:
            callbacks.on_note(f"no {side} image has {', '.join(lacking)}: not scored there, shown as -")


def _targets(part: LabeledSplit) -> np.ndarray:
    assert part.targets is not None
    return part.targets


def pos_weight(targets: np.ndarray) -> Tensor:
    """(20,): negatives / positives of each class, at most LARGEST_WEIGHT; 1 for a class without positives."""
    positives, negatives = (targets == 1).sum(0), (targets == 0).sum(0)
    weights = np.where(positives > 0, np.minimum(negatives / np.maximum(positives, 1), LARGEST_WEIGHT), 1.0)
    return torch.tensor(weights, dtype=torch.float32)


def _train(
    folder: RunFolder,
    config: TrainClsConfig,
    splits: Splits,
    model: Classifier,
    callbacks: TrainingCallbacks,
    *,
    resume: bool,
) -> TrainResult:
    if not resume:
        write_run_info(folder, splits, config.train, {"model": sum(p.numel() for p in model.parameters())}, callbacks)
    targets = _targets(splits.train)
    probes = config.optim.probe and config.model.pretrained
    if probes and model.head is None:
        callbacks.on_note(f"{config.model.model} ends in no linear layer: its head begins at random")
        probes = False
    model.freeze_bn_stats = probes
    backbone_lr_scale = encoder_lr_scale(config, TrainClsConfig(), callbacks)

    def loss(network: nn.Module, device: torch.device) -> Loss:
        weights = pos_weight(targets).to(device) if config.loss.pos_weight == "auto" else None
        label_loss = loss_function(config.loss.loss, weights)
        adversarial_training = adversarial_examples(config.adversarial_training, model, model)
        return lambda pixels, wanted: label_loss(network(adversarial_training(pixels, wanted)), wanted)

    recipe = Recipe(
        data=config.data, optim=config.optim, train=config.train,
        images=TrainDataset(
            splits.train.images, augment=config.data.augment, seed=config.train.seed, targets=targets
        ),
        layers=lambda: model.layers(backbone_lr_scale, config.optim.layer_decay, head_lr_scale=backbone_lr_scale if probes else 1.0),
        loss=loss,
        validate=lambda scored, setup, check_interrupt: _validation(scored, splits, config, setup, check_interrupt),
        prepare=lambda setup, check_interrupt: init_head_by_linear_probe(model, splits.train, config, setup, callbacks, check_interrupt) if probes else None,
        conclude=lambda setup, check_interrupt: _keep_thresholds(folder, config, splits, setup, check_interrupt),
        find_unused=config.optim.freeze_epochs > 0,
        on_epoch_start=lambda epoch: model.freeze_backbone(epoch < config.optim.freeze_epochs),
    )  # fmt: skip
    return train_model(folder, model, recipe, callbacks, resume=resume)


def init_head_by_linear_probe(
    model: Classifier,
    part: LabeledSplit,
    config: TrainClsConfig,
    setup: DeviceSetup,
    callbacks: TrainingCallbacks,
    check_interrupt: InterruptCheck,
) -> None:
    """Fit the head of a pretrained model to the features of the training images, as they are, of at most PROBED."""
    assert model.head is not None
    if len(part.images) > PROBED:
        part = part.take(np.linspace(0, len(part.images) - 1, PROBED).round().astype(int))
    loader = _scoring(part, config, setup)
    share = sum(map(len, loader.batch_sampler))  # type: ignore[arg-type]

    def seen(done: int, total: int) -> None:
        callbacks.on_count("fitting the head", done, share)
        check_interrupt()

    features = predict_features(
        model, model.head, loader, len(part.images), device=setup.device, precision=setup.precision,
        on_image=seen, shared=True,
    )  # fmt: skip
    weight, bias = linear_probe(features, torch.from_numpy(_targets(part)))
    with torch.no_grad():
        model.head.weight.copy_(weight)
        model.head.bias.copy_(bias)


def _keep_thresholds(
    folder: RunFolder, config: TrainClsConfig, splits: Splits, setup: DeviceSetup, check_interrupt: InterruptCheck
) -> None:
    """Fit every kind of threshold for both checkpoints on the validation part, into thresholds.json."""
    model = Classifier(replace(config.model, weights="none"), config.data.size)
    fitted: dict[str, dict[str, list[float]]] = {}
    for checkpoint in ("best", "final"):
        folder.load_weights(checkpoint, model)
        model.to(device=setup.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        probs = label_probs(model, splits.val, config, setup, check_interrupt)
        fitted[checkpoint] = {kind: fit_thresholds(probs, _targets(splits.val), kind).tolist() for kind in THRESHOLDS}
    folder.write_json("thresholds.json", fitted)


def label_probs(
    model: nn.Module, part: LabeledSplit, config: TrainClsConfig, setup: DeviceSetup, check_interrupt: InterruptCheck
) -> np.ndarray:
    """(N, 20) probabilities of a part's images."""
    return predict_label_probs(
        model, _scoring(part, config, setup), len(part.images), device=setup.device, precision=setup.precision,
        on_image=lambda done, total: check_interrupt(), shared=True,
    )  # fmt: skip


def _scoring(part: LabeledSplit, config: TrainClsConfig, setup: DeviceSetup) -> DataLoader:
    """This rank's share of the images, as they are."""
    workers, pin = loader_workers(config.data.workers, setup.device), setup.device.type == "cuda"
    return eval_loader(EvalDataset(part.images), config.train.batch, workers=workers, pin=pin, shared=True)


def _validation(
    model: nn.Module, splits: Splits, config: TrainClsConfig, setup: DeviceSetup, check_interrupt: InterruptCheck
) -> Scores:
    """val_loss is binary cross-entropy; sample_f1 is that of decisions at 0.5, so that nothing is fitted in it."""
    targets = _targets(splits.val)
    probs = label_probs(model, splits.val, config, setup, check_interrupt)
    aps = class_aps(probs, targets)
    logits = torch.from_numpy(probs).double().logit(eps=1e-7)
    return {
        "val_loss": bce_loss(logits, torch.from_numpy(targets)).item(),
        **{f"map_{name}": mean_defined(values) for name, values in aps.items()},
        "sample_f1": decision_scores(binarize(probs, np.full(len(CLASSES), 0.5)), targets).sample_f1,
    }
