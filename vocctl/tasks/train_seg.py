"""Train a segmenter: a config in, a run folder and its scores out."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vocctl.config import TrainSegConfig
from vocctl.data.cache import CachedSplit, cached_split, fingerprint
from vocctl.data.datasets import ScoredPhotos, TrainingPhotos
from vocctl.data.loaders import EpochBatches, scoring_loader, training_loader
from vocctl.data.source import Source, open_dataset
from vocctl.devices import device_name, keep_freed_memory, pick_device, pick_precision
from vocctl.errors import ConfigError, DataError, MemoryExceeded
from vocctl.inference.predict import predict_labels, predict_probs
from vocctl.labels import NUM_SEG_CLASSES
from vocctl.losses.pixelwise import loss_function
from vocctl.metrics.confusion import confusion_matrix, seg_scores
from vocctl.models.depthwise import train_depthwise_in_fp32
from vocctl.models.segmenter import Segmenter, count_parameters
from vocctl.runs import RunFolder, create_run, find_run, free_name
from vocctl.seeding import seed_everything
from vocctl.training.ema import MovingAverage
from vocctl.training.interrupt import listening
from vocctl.training.loop import Job, Progress, fit, make_accelerator, progress_at
from vocctl.training.optim import build_optimizer
from vocctl.training.schedule import crop_side
from vocctl.training.state import Position, latest_state, load_state

TASK = "train-seg"


@dataclass(frozen=True)
class Watch:
    """What is told while a run goes on; the cli draws it."""

    on_note: Callable[[str], None] = lambda text: None
    on_decode: Callable[[str, int, int], None] = lambda split, done, total: None
    on_progress: Callable[[Progress], None] = lambda progress: None
    on_epoch: Callable[[dict[str, Any]], None] = lambda record: None


@dataclass(frozen=True)
class SegResult:
    run: Path
    best_epoch: int
    best: float  # the monitor's best value
    monitor: str
    scores: dict[str, float]  # of the last validation; shares in [0, 1]
    seconds: float  # of training, validation left out


def run(
    config: TrainSegConfig, out: Path | None = None, *, name: str | None = None, watch: Watch = Watch()
) -> SegResult:
    """Train from the start into out, or into runs/seg/<name>; the name comes from the config where none is given.

    Raises VocctlError in its kinds: see errors.py.
    """
    pick_precision(config.train.precision, pick_device(config.train.device))  # refused before any work is done
    splits = _splits(config, watch)
    seed_everything(config.train.seed)
    with _memory_named(config):
        model = Segmenter(config.model)
        folder = create_run(_place(config, splits.source, out, name), TASK, config)
        _describe(folder, config, splits, watch)
        return _train(folder, config, splits, model, watch, resume=False)


def resume(name: str, *, watch: Watch = Watch()) -> SegResult:
    """Go on with a run where its last state stands: the same as if it had never stopped.

    Raises DataError: no such run, no state, or the data has changed since. ConfigError: it has finished.
    """
    folder = find_run(name, TASK)
    config = folder.config(TrainSegConfig())
    splits = _splits(config, watch)
    if folder.about().get("data", {}).get("fingerprint") != splits.fingerprint:
        raise DataError(f"{config.data.path} has changed since {folder.path} was begun: restore it, or start a new run")
    seed_everything(config.train.seed)
    with _memory_named(config):
        model = Segmenter(replace(config.model, weights="none"))
        return _train(folder, config, splits, model, watch, resume=True)


@dataclass(frozen=True)
class _Splits:
    source: Source
    train: CachedSplit
    val: CachedSplit
    fingerprint: str


def _splits(config: TrainSegConfig, watch: Watch) -> _Splits:
    source = open_dataset(Path(config.data.path))
    cache = Path(config.data.cache_dir) if config.data.cache_dir else None
    train, val = (
        cached_split(source, split, config.data.size, cache, partial(watch.on_decode, split))
        for split in (config.data.train_split, config.data.val_split)
    )
    for split, cached in ((config.data.train_split, train), (config.data.val_split, val)):
        if not cached.has_masks:
            raise DataError(f"{source.root}: split {split} has no masks, name one that has")
    if shared := set(train.ids) & set(val.ids):
        watch.on_note(f"{len(shared)} photos are in both splits: the validation scores flatter")
    return _Splits(source, train, val, fingerprint(source, [*train.ids, *val.ids]))


def _place(config: TrainSegConfig, source: Source, out: Path | None, name: str | None) -> Path:
    if out is not None:
        return out
    folder = Path("runs") / "seg"
    if name is not None:
        if Path(name).name != name or name in (".", ".."):
            raise ConfigError(f"--name {name} is no folder's name: leave out the slashes, or use --out")
        return folder / name
    model, skip = config.model, "" if config.model.skip else "-no-skip"
    return free_name(
        folder, f"{source.name}-{model.encoder}-{model.decoder}{skip}-{config.loss.loss}-s{config.train.seed}"
    )


def _describe(folder: RunFolder, config: TrainSegConfig, splits: _Splits, watch: Watch) -> None:
    """Put into run.json what it was trained on and how large it is, and say so."""
    device = pick_device(config.train.device)
    precision = pick_precision(config.train.precision, device)
    parameters = {"model": count_parameters(config.model)}
    if config.model.decoder == "unet":
        for skip, label in ((True, "with skips"), (False, "without skips")):
            parameters[label] = count_parameters(replace(config.model, skip=skip))
    data = {
        "path": config.data.path,
        "fingerprint": splits.fingerprint,
        "train": len(splits.train),
        "val": len(splits.val),
    }
    folder.note(parameters=parameters, data=data, device=device_name(device), precision=precision)
    counts = ", ".join(f"{count / 1e6:.2f} M {label}" for label, count in parameters.items() if label != "model")
    watch.on_note(f"run {folder.path}: {len(splits.train)} photos train, {len(splits.val)} validate")
    watch.on_note(
        f"{parameters['model'] / 1e6:.2f} M parameters{f' ({counts})' if counts else ''}; {device_name(device)}, {precision}"
    )
    if config.train.minutes:
        watch.on_note("--minutes ties the schedule to the clock: this run can't be repeated bit for bit")


def _train(
    folder: RunFolder, config: TrainSegConfig, splits: _Splits, model: Segmenter, watch: Watch, *, resume: bool
) -> SegResult:
    device = pick_device(config.train.device)
    precision = pick_precision(config.train.precision, device)
    accelerator = make_accelerator(device, precision)
    model.to(device=accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = MovingAverage(model, config.optim.ema)
    if device.type == "cpu":
        keep_freed_memory()
        if precision == "bf16":
            train_depthwise_in_fp32(model)
    optimizer = build_optimizer(model, model.encoder, config.optim)
    network, prepared = accelerator.prepare(model, optimizer)
    position = Position()
    if resume:
        position = load_state(latest_state(folder.state), model, average.model, optimizer)
        if position.finished:
            raise ConfigError(f"{folder.path} has finished: `vocctl eval {folder.path}` scores it")
        if accelerator.scaler is not None and position.scaler:
            accelerator.scaler.load_state_dict(position.scaler)
        folder.cut_metrics(position.metrics_bytes)
        watch.on_note(f"going on with {folder.path} from step {position.step}, epoch {position.epoch + 1}")
    workers = config.data.workers if config.data.workers >= 0 else _auto_workers(device)
    photos = TrainingPhotos(splits.train, augment=config.data.augment, seed=config.train.seed)
    in_epoch = max(len(photos) // config.train.batch, 1)

    def side_at(epoch: int, batch: int) -> int:
        progress = progress_at(position, epoch, batch, in_epoch, config.train)
        return crop_side(progress, config.data.size, config.data.size_from)

    batches = EpochBatches(len(photos), config.train.batch, config.train.seed, side_at)
    loader = training_loader(photos, batches, workers=workers, pin=device.type == "cuda")
    every = config.loss.loss_stride
    pixel_loss = loss_function(config.loss.loss, config.loss.class_weights, accelerator.device)

    def loss_fn(pixels: Tensor, targets: Tensor) -> Tensor:
        return pixel_loss(network(pixels, every), targets[:, every // 2 :: every, every // 2 :: every])

    def batches_from(epoch: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        batches.start_at(epoch, batch)
        yield from loader

    scores: dict[str, float] = {}

    def validate(scored: nn.Module) -> dict[str, float]:
        scores.update(_validation(scored, splits, config, accelerator.device, precision, workers))
        return dict(scores)

    with listening() as stop:
        job = Job(
            accelerator=accelerator, model=model, average=average, optimizer=prepared, loss_fn=loss_fn,
            batches_from=batches_from, batches=in_epoch, validate=validate, optim=config.optim, train=config.train,
            run=folder, stop=stop, on_progress=watch.on_progress, on_epoch=watch.on_epoch,
        )  # fmt: skip
        end = fit(job, position)
    best = end.best if end.best is not None else math.nan
    return SegResult(folder.path, end.best_epoch, best, config.train.monitor, scores, end.seconds)


def _auto_workers(device: torch.device) -> int:
    return 0 if device.type == "cpu" else min(8, os.cpu_count() or 1)


def _validation(
    model: nn.Module, splits: _Splits, config: TrainSegConfig, device: torch.device, precision: str, workers: int
) -> dict[str, float]:
    """Scores at the photos' own size, and val_loss: cross-entropy at the cache's size, mean over the photos."""
    cached = splits.val
    loader = scoring_loader(ScoredPhotos(cached), config.train.batch, workers=workers, pin=device.type == "cuda")
    losses: list[float] = []

    def watched() -> Iterator[tuple[Tensor, Tensor]]:
        for indices, probs in predict_probs(model, loader, device=device, precision=precision):
            for index, one in zip(indices.tolist(), probs, strict=True):
                mask = torch.from_numpy(cached.mask(index).copy()).to(device).long()
                nll = torch.nn.functional.nll_loss(one.clamp(min=1e-8).log()[None], mask[None], ignore_index=255)
                if nll.isfinite():
                    losses.append(nll.item())
            yield indices, probs

    confusion = torch.zeros(NUM_SEG_CLASSES, NUM_SEG_CLASSES, dtype=torch.int64)
    for index, labels in predict_labels(watched(), cached.own_sizes):
        truth = splits.source.mask(cached.ids[index])
        confusion += confusion_matrix(torch.from_numpy(labels), torch.from_numpy(truth.copy()))
    scores = seg_scores(confusion)
    return {
        "val_loss": sum(losses) / max(len(losses), 1),
        "mean_iou": scores.mean_iou,
        "mean_dice": scores.mean_dice,
        "pixel_accuracy": scores.pixel_accuracy,
    }


@contextmanager
def _memory_named(config: TrainSegConfig) -> Iterator[None]:
    """Turn an out-of-memory of the device or the host into one line with the numbers."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        text = str(error)
        if (
            isinstance(error, RuntimeError)
            and not isinstance(error, torch.OutOfMemoryError)
            and "allocate memory" not in text
        ):
            raise
        raise MemoryExceeded(
            f"out of memory with batches of {config.train.batch} at {config.data.size} px: halve --batch and set "
            "--accumulate 2, or lower --size"
        ) from error
