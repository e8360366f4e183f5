"""Train a segmenter: a config in, a run folder and its scores out."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from vocctl.config import ModelConfig, TrainSegConfig
from vocctl.data.datasets import EvalDataset, TrainDataset
from vocctl.data.loaders import eval_loader
from vocctl.data.splits import Splits, open_splits
from vocctl.devices import DeviceSetup, loader_workers
from vocctl.distributed import all_gather_object, all_reduce_sum
from vocctl.inference.predict import predict_labels, predict_probs
from vocctl.labels import IGNORE, NUM_SEG_CLASSES
from vocctl.losses.segmentation import loss_function
from vocctl.metrics.confusion import confusion_matrix, seg_scores
from vocctl.models.segmenter import Segmenter, count_parameters
from vocctl.runs.folder import RunFolder, create_run, new_run_dir
from vocctl.seeding import seed_everything
from vocctl.training.adversarial import adversarial_examples, training_attack
from vocctl.training.optim import encoder_and_rest
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

TASK = "train-seg"


def run(
    config: TrainSegConfig,
    out: Path | None = None,
    *,
    name: str | None = None,
    callbacks: TrainingCallbacks = TrainingCallbacks(),
) -> TrainResult:
    """Train from the start into out, or into runs/seg/<name>; the name comes from the config where none is given.

    Raises VocctlError in its kinds: see errors.py.
    """
    training_setup(config.train)  # what can be refused is, before any work is done
    training_attack(config.adversarial_training)
    splits = open_splits(config.data, TASK, callbacks.on_count)
    seed_everything(config.train.seed)
    with explain_oom(config.train, config.data):
        model = Segmenter(config.model)
        skip = "" if config.model.skip else "-no-skip"
        plain = f"{config.model.encoder}-{config.model.decoder}{skip}-{config.loss.loss}"
        folder = create_run(
            new_run_dir(out, name, "seg", f"{splits.source.name}-{plain}-s{config.train.seed}"), TASK, config
        )
        return _train(folder, config, splits, model, callbacks, resume=False)


def resume(name: str, *, callbacks: TrainingCallbacks = TrainingCallbacks()) -> TrainResult:
    """Go on with a run where its last state stands: on a CPU the same as if it had never stopped.

    Raises DataError: no such run, no state that can be read, or the data has changed since. ConfigError: it has finished, or
    does not work on this hardware.
    """
    folder, config = run_to_resume(name, TASK, TrainSegConfig())
    training_setup(config.train)
    splits = open_splits(config.data, TASK, callbacks.on_count)
    check_data_unchanged(folder, splits)
    seed_everything(config.train.seed)
    resumed = resumable(folder, callbacks)
    with explain_oom(config.train, config.data):
        model = Segmenter(replace(config.model, weights="none") if resumed else config.model)
        return _train(folder, config, splits, model, callbacks, resume=resumed)


def _parameters(config: ModelConfig) -> dict[str, int]:
    counts = {"model": count_parameters(config)}
    if config.decoder == "unet":
        for skip, label in ((True, "with skips"), (False, "without skips")):
            counts[label] = count_parameters(replace(config, skip=skip))
    return counts


def _train(
    folder: RunFolder,
    config: TrainSegConfig,
    splits: Splits,
    model: Segmenter,
    callbacks: TrainingCallbacks,
    *,
    resume: bool,
) -> TrainResult:
    if not resume:
        write_run_info(folder, splits, config.train, _parameters(config.model), callbacks)
    every = config.loss.loss_stride
    pretrained_rate = encoder_lr_scale(config, TrainSegConfig(), callbacks)

    def loss(network: nn.Module, device: torch.device) -> Loss:
        pixel_loss = loss_function(config.loss.loss, config.loss.class_weights, device)
        adversarial_training = adversarial_examples(
            config.adversarial_training, model, lambda pixels: model(pixels, every)
        )

        def of_batch(pixels: Tensor, targets: Tensor) -> Tensor:
            labels = targets[:, every // 2 :: every, every // 2 :: every]
            return pixel_loss(network(adversarial_training(pixels, labels), every), labels)

        return of_batch

    recipe = Recipe(
        data=config.data, optim=config.optim, train=config.train,
        images=TrainDataset(splits.train.images, augment=config.data.augment, seed=config.train.seed),
        layers=lambda: encoder_and_rest(model, model.encoder, pretrained_rate),
        loss=loss,
        validate=lambda scored, setup, check_interrupt: _validation(scored, splits, config, setup, check_interrupt),
        find_unused=config.model.decoder == "dpt",  # it leaves the ViT's last norm and its head aside
    )  # fmt: skip
    return train_model(folder, model, recipe, callbacks, resume=resume)


def _validation(
    model: nn.Module, splits: Splits, config: TrainSegConfig, setup: DeviceSetup, check_interrupt: InterruptCheck
) -> Scores:
    """Scores at the images' own size, and val_loss: cross-entropy at the cache's size, mean over the images."""
    cached, device = splits.val.images, setup.device
    loader = eval_loader(
        EvalDataset(cached),
        config.train.batch,
        workers=loader_workers(config.data.workers, device),
        pin=device.type == "cuda",
        shared=True,
    )
    losses: list[Tensor] = []  # on the device until the end

    def watched() -> Iterator[tuple[Tensor, Tensor]]:
        for indices, probs in predict_probs(model, loader, device=device, precision=setup.precision):
            check_interrupt()
            for index, one in zip(indices.tolist(), probs, strict=True):
                mask = torch.from_numpy(cached.mask(index).copy()).to(device).long()
                losses.append(
                    torch.nn.functional.nll_loss(one.clamp(min=1e-8).log()[None], mask[None], ignore_index=IGNORE)
                )
            yield indices, probs

    confusion = torch.zeros(NUM_SEG_CLASSES, NUM_SEG_CLASSES, dtype=torch.int64)
    for index, labels in predict_labels(watched(), cached.original_sizes):
        confusion += confusion_matrix(torch.from_numpy(labels), torch.from_numpy(cached.original_mask(index)))
    scores = seg_scores(all_reduce_sum(confusion))
    mine = torch.stack(losses).tolist() if losses else []
    all_losses = [
        loss for held in all_gather_object(mine) for loss in held if math.isfinite(loss)
    ]  # nan: a mask all void
    return {
        "val_loss": math.fsum(all_losses) / max(len(all_losses), 1),
        "mean_iou": scores.mean_iou,
        "mean_dice": scores.mean_dice,
        "pixel_accuracy": scores.pixel_accuracy,
    }
