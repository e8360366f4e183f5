"""What every training task does with its model: a run folder, the loop, and going on where it stopped."""

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vocctl.config import DataConfig, OptimConfig, TrainConfig
from vocctl.data.datasets import TrainingPhotos
from vocctl.data.device_loader import DeviceBatches
from vocctl.data.loaders import EpochBatches, training_loader
from vocctl.data.splits import Splits
from vocctl.devices import device_name, keep_freed_memory, memory_of, pick_device, pick_precision
from vocctl.distributed import join, largest, local_world, rank, world
from vocctl.errors import ConfigError, DataError, MemoryExceeded, RunError, is_out_of_memory
from vocctl.models.depthwise import train_depthwise_in_fp32
from vocctl.runs.folder import RunFolder, find_run
from vocctl.training.checkpoint import Position, has_state, load_latest
from vocctl.training.ema import MovingAverage
from vocctl.training.loop import Job, Progress, fit, make_accelerator, progress_at
from vocctl.training.optim import build_optimizer
from vocctl.training.schedule import crop_side
from vocctl.training.signals import Heed, StopRequest, listening

Layers = list[tuple[list[nn.Parameter], float]]
Loss = Callable[[Tensor, Tensor], Tensor]  # pixels, targets (both on the device) to a scalar
Scores = dict[str, float]


@dataclass(frozen=True)
class Watch:
    """What is told while a run goes on; the cli draws it."""

    on_note: Callable[[str], None] = lambda text: None
    on_count: Callable[[str, int, int], None] = lambda what, done, total: None  # photos, before training
    on_progress: Callable[[Progress], None] = lambda progress: None
    on_epoch: Callable[[dict[str, Any]], None] = lambda record: None


@dataclass(frozen=True)
class TrainResult:
    run: Path
    best_epoch: int
    best: float  # the monitor's best value
    monitor: str
    scores: Scores  # of the last validation; shares in [0, 1]
    seconds: float  # of training, validation left out


@dataclass(frozen=True)
class Hardware:
    device: torch.device
    precision: str


@dataclass(frozen=True)
class Recipe:
    """What a task hands over: its settings, and what differs between tasks."""

    data: DataConfig
    optim: OptimConfig
    train: TrainConfig
    photos: TrainingPhotos
    layers: Callable[[], Layers]
    loss: Callable[[nn.Module, torch.device], Loss]  # of the network that trains
    validate: Callable[[nn.Module, Hardware, Heed], Scores]
    prepare: Callable[[Hardware, Heed], None] = lambda here, heed: None  # before the first step, in training time
    conclude: Callable[[Hardware, Heed], None] = lambda here, heed: None  # once best and final weights are there
    find_unused: bool = False  # whether some parameters get no gradient in some steps
    on_epoch_start: Callable[[int], None] = lambda epoch: None  # epoch from 0; the model is in training mode


def hardware(train: TrainConfig) -> Hardware:
    """Where this process works; several meet here. Raises ConfigError: a device or a precision that is not here."""
    device = pick_device(train.device)
    join(device)
    return Hardware(device, pick_precision(train.precision, device))


def hardware_to_train(train: TrainConfig) -> Hardware:
    """As hardware; ConfigError also for a batch that the processes can't share evenly, and where --compile can't work."""
    if train.batch % world():
        raise ConfigError(f"--batch {train.batch} is split over {world()} processes: take a multiple of {world()}")
    here = hardware(train)
    if train.compile:
        with _compiler_named():
            torch.compile(lambda numbers: numbers + 1)(torch.ones(2, device=here.device))
    return here


def describe(folder: RunFolder, splits: Splits, train: TrainConfig, parameters: dict[str, int], watch: Watch) -> None:
    """Put into the run folder what it is trained on and how large it is, and say so. parameters: "model" first."""
    here = hardware(train)
    data = {
        "path": str(splits.source.root),
        "fingerprint": splits.fingerprint,
        "train": len(splits.train.photos),
        "val": len(splits.val.photos),
    }
    folder.note(parameters=parameters, data=data, device=device_name(here.device), precision=here.precision)
    folder.write_json("split.json", {"train": splits.train.photos.ids, "val": splits.val.photos.ids})
    if splits.shared:
        watch.on_note(f"{splits.shared} photos are in both splits: the validation scores flatter")
    counts = ", ".join(f"{count / 1e6:.2f} M {label}" for label, count in parameters.items() if label != "model")
    watch.on_note(f"run {folder.path}: {data['train']} photos train, {data['val']} validate")
    watch.on_note(
        f"{parameters['model'] / 1e6:.2f} M parameters{f' ({counts})' if counts else ''}; {device_name(here.device)}, "
        f"{here.precision}"
    )
    if train.minutes:
        watch.on_note("--minutes ties the schedule to the clock: this run can't be repeated bit for bit")


def run_to_resume(name: str, task: str, default: Any) -> tuple[RunFolder, Any]:
    """The run folder and its config. Raises DataError: no such run."""
    folder = find_run(name, task)
    return folder, folder.config(default)


def goes_on(folder: RunFolder, watch: Watch) -> bool:
    """Whether a run to resume has a state; one that was stopped before its first begins anew, to the same end."""
    if not has_state(folder.state):
        watch.on_note(f"{folder.path} was stopped before its first state: it begins anew")
        return False
    return True


def refuse_changed_data(folder: RunFolder, splits: Splits) -> None:
    noted = folder.about().get("data", {}).get("fingerprint")
    if noted not in (splits.fingerprint, None):  # None: it was stopped before that was noted
        raise DataError(
            f"{splits.source.root} has changed since {folder.path} was begun: restore it, or start a new run"
        )


def train_model(folder: RunFolder, model: nn.Module, recipe: Recipe, watch: Watch, *, resume: bool) -> TrainResult:
    """The whole run, or the rest of it. Raises as training/loop.py's fit does; ConfigError: it has finished."""
    with listening() as stop:
        return _train_until(stop, folder, model, recipe, watch, resume=resume)


def _train_until(
    stop: StopRequest, folder: RunFolder, model: nn.Module, recipe: Recipe, watch: Watch, *, resume: bool
) -> TrainResult:
    here = hardware(recipe.train)
    accelerator = make_accelerator(here.device, here.precision, find_unused=recipe.find_unused)
    model.to(device=accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    position = Position()
    if here.device.type == "cpu":
        keep_freed_memory()
    if not resume:
        folder.cut_metrics(0)
        begun = time.perf_counter()
        with _workers_named(folder):
            recipe.prepare(
                here, lambda: stop.heed(f"stopped before the first step: --resume {folder.path} begins anew")
            )
        (position.prepared,) = largest([time.perf_counter() - begun])
        position.seconds = position.prepared
        if recipe.train.minutes and position.prepared >= 60 * recipe.train.minutes:
            watch.on_note("all of --minutes went into what comes before the first step: one step is taken")
    average = MovingAverage(model, recipe.optim.ema)
    if here.device.type == "cpu" and here.precision == "bf16":
        train_depthwise_in_fp32(model)
    optimizer = build_optimizer(recipe.layers(), recipe.optim)
    network, prepared = accelerator.prepare(model, optimizer)
    if recipe.train.compile:  # model, which is validated and saved, stays as it is
        network = torch.compile(network)
    if resume:
        position = load_latest(folder.state, model, average.model, optimizer)
        if position.finished:
            raise ConfigError(f"{folder.path} has finished: `vocctl eval {folder.path}` scores it")
        if accelerator.scaler is not None and position.scaler:
            accelerator.scaler.load_state_dict(position.scaler)
        folder.cut_metrics(position.metrics_bytes)
        watch.on_note(f"going on with {folder.path} from step {position.step}, epoch {position.epoch + 1}")
    loader, batches = _loader(recipe, position, here)

    def batches_from(epoch: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        recipe.on_epoch_start(epoch)
        batches.start_at(epoch, batch)
        yield from loader

    job = Job(
        accelerator=accelerator, model=model, average=average, optimizer=prepared,
        loss_fn=recipe.loss(network, accelerator.device), batches_from=batches_from, batches=_batches(recipe),
        validate=lambda scored, heed: recipe.validate(scored, here, heed),
        conclude=lambda heed: recipe.conclude(here, heed), optim=recipe.optim, train=recipe.train, run=folder, stop=stop,
        on_progress=watch.on_progress, on_epoch=watch.on_epoch,
    )  # fmt: skip
    with _workers_named(folder), _compiler_named() if recipe.train.compile else nullcontext():
        end = fit(job, position)
    best = end.best if end.best is not None else math.nan
    return TrainResult(folder.path, end.best_epoch, best, recipe.train.monitor, end.scores, end.seconds)


def _batches(recipe: Recipe) -> int:
    """In an epoch."""
    return max(len(recipe.photos) // recipe.train.batch, 1)


def _loader(recipe: Recipe, position: Position, here: Hardware) -> tuple[Iterable[tuple[Tensor, Tensor]], EpochBatches]:
    in_epoch = _batches(recipe)

    def side_at(epoch: int, batch: int) -> int:
        progress = progress_at(position, epoch, batch, in_epoch, recipe.train)
        return crop_side(progress, recipe.data.size, recipe.data.size_from)

    batches = EpochBatches(
        len(recipe.photos), recipe.train.batch, recipe.train.seed, side_at, rank=rank(), world=world()
    )
    if recipe.data.augment_on == "gpu":
        return DeviceBatches(recipe.photos, batches, here.device), batches
    workers = workers_for(recipe.data, here.device)
    return training_loader(recipe.photos, batches, workers=workers, pin=here.device.type == "cuda"), batches


@contextmanager
def _workers_named(folder: RunFolder) -> Iterator[None]:
    """Turn a loader's worker that died into one line. torch raises it wherever the main process is at that moment."""
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in ("killed by signal", "exited unexpectedly")):
            raise  # an error inside a worker, which torch hands on under its own name
        raise RunError(
            f"a worker that loads photos was killed, perhaps for want of memory: go on with --resume {folder.path}, and "
            "start runs with fewer --workers (--workers 0: none)"
        ) from error


@contextmanager
def _compiler_named() -> Iterator[None]:
    """Turn what torch.compile raises into one line."""
    from torch._dynamo.exc import TorchDynamoException  # takes a second

    try:
        yield
    except TorchDynamoException as error:
        if is_out_of_memory(error):  # a RuntimeError too, which memory_named turns into its line
            raise
        raise ConfigError(
            f"torch can't compile here ({' '.join(str(error).split())[:120]}): install what it needs, a C++ compiler and "
            "on a GPU Triton, or leave out --compile"
        ) from error


def encoder_rate(config: Any, default: Any, watch: Watch) -> float:
    """Of what may be pretrained, as a share of lr. config, default: of train-seg or train-cls."""
    if config.model.pretrained:
        return float(config.optim.encoder_lr)
    if config.optim.encoder_lr != default.optim.encoder_lr:
        watch.on_note("--encoder-lr is for pretrained weights: all that begins from nothing learns at --lr")
    return 1.0


def workers_for(data: DataConfig, device: torch.device) -> int:
    """Processes that load and augment: as set, or by the device."""
    if data.workers >= 0:
        return data.workers
    return 0 if device.type == "cpu" else min(8, max((os.cpu_count() or 1) // local_world(), 1))


@contextmanager
def memory_named(train: TrainConfig, data: DataConfig) -> Iterator[None]:
    """Turn an out-of-memory of the device or the host into one line with the numbers."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        photos = "; with --augment-on gpu all photos lie there too, with --augment-on cpu they don't"
        raise MemoryExceeded(
            f"out of memory with batches of {train.batch} at {data.size} px on {memory_of(train.device)}: halve --batch and "
            f"set --accumulate 2, or lower --size{photos if data.augment_on == 'gpu' else ''}"
        ) from error
