"""`vocctl train-seg`: flags over a TOML file over the defaults, then the task."""

from pathlib import Path
from typing import Annotated, Any

import typer

from vocctl.cli import display
from vocctl.cli.options import DataDir, Device, Quiet, setting
from vocctl.config import DECODERS, LOSSES, MONITORS, PRESETS, SCHEDULES, TrainSegConfig, given, read_toml
from vocctl.errors import ConfigError

DATA, MODEL, LOSS, OPTIM, TRAIN = "Data", "Model", "Loss", "Optimisation", "Training"


def train_seg(
    data: DataDir = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The run's name under runs/seg/; made up if left out.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The run's folder, in place of runs/seg/NAME.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="A TOML file of settings; flags go over it.")] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", help="Go on with this run (name or folder), as it was set.")
    ] = None,
    train_split: Annotated[str | None, setting("train_split", "Photos to train on.", panel=DATA)] = None,
    val_split: Annotated[str | None, setting("val_split", "Photos to validate on.", panel=DATA)] = None,
    size: Annotated[
        int | None, setting("size", "Pixels: side of a crop, shorter side of a scored photo.", panel=DATA)
    ] = None,
    size_from: Annotated[
        int | None, setting("size_from", "Crops grow from this side to --size; 0: off.", panel=DATA)
    ] = None,
    augment: Annotated[str | None, setting("augment", f"{', '.join(PRESETS)}.", panel=DATA)] = None,
    workers: Annotated[int | None, setting("workers", "Processes that augment; -1: by the device.", panel=DATA)] = None,
    cache_dir: Annotated[str | None, setting("cache_dir", "Where decoded photos are kept.", panel=DATA)] = None,
    encoder: Annotated[str | None, setting("encoder", "Any timm model with features, or scratch.", panel=MODEL)] = None,
    decoder: Annotated[str | None, setting("decoder", f"{', '.join(DECODERS)}.", panel=MODEL)] = None,
    skip: Annotated[
        bool | None, setting("skip", "The U-Net's skip connections.", "--skip/--no-skip", panel=MODEL)
    ] = None,
    widths: Annotated[
        str | None, setting("widths", "Channels of the U-Net's decoder, deepest first.", panel=MODEL)
    ] = None,
    weights: Annotated[
        str | None, setting("weights", "auto (ImageNet), none, or a .safetensors or .pth file.", panel=MODEL)
    ] = None,
    loss: Annotated[str | None, setting("loss", f"{', '.join(LOSSES)}.", panel=LOSS)] = None,
    loss_stride: Annotated[
        int | None, setting("loss_stride", "The loss looks at every n-th pixel both ways.", panel=LOSS)
    ] = None,
    class_weights: Annotated[str | None, setting("class_weights", "21 numbers, background first.", panel=LOSS)] = None,
    lr: Annotated[float | None, setting("lr", "Peak learning rate of the decoder.", panel=OPTIM)] = None,
    encoder_lr: Annotated[float | None, setting("encoder_lr", "The encoder's rate, times --lr.", panel=OPTIM)] = None,
    weight_decay: Annotated[float | None, setting("weight_decay", "Not on norms and biases.", panel=OPTIM)] = None,
    schedule: Annotated[str | None, setting("schedule", f"{', '.join(SCHEDULES)}.", panel=OPTIM)] = None,
    warmup: Annotated[float | None, setting("warmup", "Share of the run.", panel=OPTIM)] = None,
    clip_norm: Annotated[
        float | None, setting("clip_norm", "Largest norm of the gradient; 0: any.", panel=OPTIM)
    ] = None,
    accumulate: Annotated[int | None, setting("accumulate", "Batches to a step.", panel=OPTIM)] = None,
    ema: Annotated[float | None, setting("ema", "Decay of the weights' moving average; 0: none.", panel=OPTIM)] = None,
    epochs: Annotated[int | None, setting("epochs", "Passes over the training photos.", panel=TRAIN)] = None,
    minutes: Annotated[float | None, setting("minutes", "Train so long in place of --epochs.", panel=TRAIN)] = None,
    batch: Annotated[int | None, setting("batch", "Photos to a batch.", panel=TRAIN)] = None,
    eval_every: Annotated[int | None, setting("eval_every", "Epochs between validations.", panel=TRAIN)] = None,
    save_every: Annotated[
        float | None, setting("save_every", "Minutes between states inside an epoch.", panel=TRAIN)
    ] = None,
    patience: Annotated[
        int | None, setting("patience", "Validations without a better score before stopping; 0: any.", panel=TRAIN)
    ] = None,
    monitor: Annotated[
        str | None, setting("monitor", f"What makes the best: {', '.join(MONITORS)}.", panel=TRAIN)
    ] = None,
    precision: Annotated[str | None, setting("precision", "auto, fp32, bf16, fp16.", panel=TRAIN)] = None,
    device: Device = None,
    seed: Annotated[int | None, setting("seed", "Same seed, same machine, same run.", panel=TRAIN)] = None,
    quiet: Quiet = False,
) -> None:
    """Train a segmenter on VOC photos and keep its best and final weights.

    vocctl train-seg --data data/voc2009 --loss dice --no-skip
    """
    flags = {
        key: value
        for key, value in locals().items()
        if value is not None
        and key not in ("name", "out", "config", "resume", "quiet", "data", "widths", "class_weights")
    }
    flags |= {"path": str(data)} if data is not None else {}
    flags |= {"widths": _numbers("widths", widths, int)} if widths is not None else {}
    flags |= {"class_weights": _numbers("class-weights", class_weights, float)} if class_weights is not None else {}
    if resume is not None and (flags or name or out or config):
        raise ConfigError("--resume goes on as the run was set: leave out the other flags, --quiet apart")
    chosen = given(read_toml(TrainSegConfig(), config) if config else TrainSegConfig(), **flags)

    from vocctl.tasks import train_seg as task  # torch comes in here

    with display.training(quiet=quiet) as watch:
        callbacks = task.Watch(
            on_note=watch.note, on_decode=watch.decode, on_progress=watch.progress, on_epoch=watch.epoch
        )
        if resume is not None:
            result = task.resume(resume, watch=callbacks)
        else:
            result = task.run(chosen, out, name=name, watch=callbacks)
    display.seg_result(result)


def _numbers(flag: str, text: str, kind: Any) -> tuple[Any, ...]:
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--{flag} takes numbers with commas between, got {text!r}") from error
