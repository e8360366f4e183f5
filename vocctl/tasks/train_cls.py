"""Train a classifier: a config in, a run folder, its thresholds and its scores out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from vocctl.config import THRESHOLDS, TrainClsConfig
from vocctl.data.datasets import ScoredPhotos, TrainingPhotos
from vocctl.data.loaders import scoring_loader
from vocctl.data.splits import Part, Splits, open_splits
from vocctl.errors import DataError
from vocctl.inference.predict import predict_features, predict_label_probs
from vocctl.inference.thresholds import decide, fit_thresholds
from vocctl.labels import CLASSES
from vocctl.losses.classification import bce_loss, loss_function
from vocctl.metrics.average_precision import class_aps, mean_defined
from vocctl.metrics.multilabel import decision_scores
from vocctl.models.classifier import Classifier
from vocctl.runs.folder import RunFolder, create_run, place_of
from vocctl.seeding import seed_everything
from vocctl.training.adversarial import hardening, training_attack
from vocctl.training.probe import linear_probe
from vocctl.training.signals import Heed
from vocctl.training.trainer import (
    Hardware,
    Loss,
    Recipe,
    Scores,
    TrainResult,
    Watch,
    describe,
    encoder_rate,
    goes_on,
    hardware_to_train,
    memory_named,
    refuse_changed_data,
    run_to_resume,
    train_model,
    workers_for,
)

TASK = "train-cls"
PROBED = 20_000  # photos that the head is fitted to at most, evenly spaced: 100 MB of features
LARGEST_WEIGHT = 20.0  # of --pos-weight auto; a class of two photos would drown the others


def run(
    config: TrainClsConfig, out: Path | None = None, *, name: str | None = None, watch: Watch = Watch()
) -> TrainResult:
    """Train from the start into out, or into runs/cls/<name>; the name comes from the config where none is given.

    Raises VocctlError in its kinds: see errors.py.
    """
    hardware_to_train(config.train)  # what can be refused is, before any work is done
    training_attack(config.harden)
    splits = open_splits(config.data, TASK, watch.on_count)
    _look_at_classes(splits, watch)
    seed_everything(config.train.seed)
    with memory_named(config.train, config.data):
        model = Classifier(config.model, config.data.size)
        plain = f"{splits.source.name}-{config.model.model}-{config.loss.loss}-s{config.train.seed}"
        folder = create_run(place_of(out, name, "cls", plain), TASK, config)
        return _train(folder, config, splits, model, watch, resume=False)


def resume(name: str, *, watch: Watch = Watch()) -> TrainResult:
    """Go on with a run where its last state stands: on a CPU the same as if it had never stopped.

    Raises DataError: no such run, no state that can be read, or the data has changed since. ConfigError: it has finished, or
    does not work on this hardware.
    """
    folder, config = run_to_resume(name, TASK, TrainClsConfig())
    hardware_to_train(config.train)
    splits = open_splits(config.data, TASK, watch.on_count)
    refuse_changed_data(folder, splits)
    seed_everything(config.train.seed)
    begun = goes_on(folder, watch)
    with memory_named(config.train, config.data):
        model = Classifier(replace(config.model, weights="none") if begun else config.model, config.data.size)
        return _train(folder, config, splits, model, watch, resume=begun)


def _look_at_classes(splits: Splits, watch: Watch) -> None:
    """Say which classes a side lacks. Raises DataError where it has no positive label at all."""
    for side, part in (("train", splits.train), ("validation", splits.val)):
        lacking = [name for name, count in zip(CLASSES, (_targets(part) == 1).sum(0), strict=True) if count == 0]
        if len(lacking) == len(CLASSES):
            raise DataError(f"{splits.source.root}: no photo of the {side} part has a class, name another split")
        if lacking:
            watch.on_note(f"no {side} photo has {', '.join(lacking)}: not scored there, shown as -")


def _targets(part: Part) -> np.ndarray:
    assert part.targets is not None
    return part.targets


def pos_weight(targets: np.ndarray) -> Tensor:
    """(20,): negatives / positives of each class, at most LARGEST_WEIGHT; 1 for a class without positives."""
    positives, negatives = (targets == 1).sum(0), (targets == 0).sum(0)
    weights = np.where(positives > 0, np.minimum(negatives / np.maximum(positives, 1), LARGEST_WEIGHT), 1.0)
    return torch.tensor(weights, dtype=torch.float32)


def _train(
    folder: RunFolder, config: TrainClsConfig, splits: Splits, model: Classifier, watch: Watch, *, resume: bool
) -> TrainResult:
    if not resume:
        describe(folder, splits, config.train, {"model": sum(p.numel() for p in model.parameters())}, watch)
    targets = _targets(splits.train)
    probes = config.optim.probe and config.model.pretrained
    if probes and model.head is None:
        watch.on_note(f"{config.model.model} ends in no linear layer: its head begins at random")
        probes = False
    model.keeps_statistics = probes
    body_rate = encoder_rate(config, TrainClsConfig(), watch)

    def loss(network: nn.Module, device: torch.device) -> Loss:
        weights = pos_weight(targets).to(device) if config.loss.pos_weight == "auto" else None
        label_loss = loss_function(config.loss.loss, weights)
        harden = hardening(config.harden, model, model)
        return lambda pixels, wanted: label_loss(network(harden(pixels, wanted)), wanted)

    recipe = Recipe(
        data=config.data, optim=config.optim, train=config.train,
        photos=TrainingPhotos(
            splits.train.photos, augment=config.data.augment, seed=config.train.seed, targets=targets
        ),
        layers=lambda: model.layers(body_rate, config.optim.layer_decay, head_rate=body_rate if probes else 1.0),
        loss=loss,
        validate=lambda scored, here, heed: _validation(scored, splits, config, here, heed),
        prepare=lambda here, heed: _begin_as_probe(model, splits.train, config, here, watch, heed) if probes else None,
        conclude=lambda here, heed: _keep_thresholds(folder, config, splits, here, heed),
        find_unused=config.optim.freeze_epochs > 0,
        on_epoch_start=lambda epoch: model.freeze_body(epoch < config.optim.freeze_epochs),
    )  # fmt: skip
    return train_model(folder, model, recipe, watch, resume=resume)


def _begin_as_probe(
    model: Classifier, part: Part, config: TrainClsConfig, here: Hardware, watch: Watch, heed: Heed
) -> None:
    """Fit the head of a pretrained model to the features of the training photos, as they are, of at most PROBED."""
    assert model.head is not None
    if len(part.photos) > PROBED:
        part = part.take(np.linspace(0, len(part.photos) - 1, PROBED).round().astype(int))
    loader = _scoring(part, config, here)
    share = sum(map(len, loader.batch_sampler))  # type: ignore[arg-type]

    def seen(done: int, total: int) -> None:
        watch.on_count("fitting the head", done, share)
        heed()

    features = predict_features(
        model, model.head, loader, len(part.photos), device=here.device, precision=here.precision,
        on_photo=seen, shared=True,
    )  # fmt: skip
    weight, bias = linear_probe(features, torch.from_numpy(_targets(part)))
    with torch.no_grad():
        model.head.weight.copy_(weight)
        model.head.bias.copy_(bias)


def _keep_thresholds(folder: RunFolder, config: TrainClsConfig, splits: Splits, here: Hardware, heed: Heed) -> None:
    """Fit every kind of threshold for both checkpoints on the validation part, into thresholds.json."""
    model = Classifier(replace(config.model, weights="none"), config.data.size)
    fitted: dict[str, dict[str, list[float]]] = {}
    for checkpoint in ("best", "final"):
        folder.load_weights(checkpoint, model)
        model.to(device=here.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        probs = label_probs(model, splits.val, config, here, heed)
        fitted[checkpoint] = {kind: fit_thresholds(probs, _targets(splits.val), kind).tolist() for kind in THRESHOLDS}
    folder.write_json("thresholds.json", fitted)


def label_probs(model: nn.Module, part: Part, config: TrainClsConfig, here: Hardware, heed: Heed) -> np.ndarray:
    """(N, 20) probabilities of a part's photos."""
    return predict_label_probs(
        model, _scoring(part, config, here), len(part.photos), device=here.device, precision=here.precision,
        on_photo=lambda done, total: heed(), shared=True,
    )  # fmt: skip


def _scoring(part: Part, config: TrainClsConfig, here: Hardware) -> DataLoader:
    """This rank's share of the photos, as they are."""
    workers, pin = workers_for(config.data, here.device), here.device.type == "cuda"
    return scoring_loader(ScoredPhotos(part.photos), config.train.batch, workers=workers, pin=pin, shared=True)


def _validation(model: nn.Module, splits: Splits, config: TrainClsConfig, here: Hardware, heed: Heed) -> Scores:
    """val_loss is binary cross-entropy; sample_f1 is that of decisions at 0.5, so that nothing is fitted in it."""
    targets = _targets(splits.val)
    probs = label_probs(model, splits.val, config, here, heed)
    aps = class_aps(probs, targets)
    logits = torch.from_numpy(probs).double().logit(eps=1e-7)
    return {
        "val_loss": bce_loss(logits, torch.from_numpy(targets)).item(),
        **{f"map_{name}": mean_defined(values) for name, values in aps.items()},
        "sample_f1": decision_scores(decide(probs, np.full(len(CLASSES), 0.5)), targets).sample_f1,
    }
