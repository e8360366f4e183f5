"""What every training task does with its model: a run folder, the loop, and going on where it stopped."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vocctl.config import DataConfig, OptimConfig, TrainConfig
from vocctl.data.datasets import TrainDataset
from vocctl.data.device_loader import DeviceLoader
from vocctl.data.loaders import EpochBatchSampler, train_loader
from vocctl.data.splits import Splits
from vocctl.devices import (
    DeviceSetup,
    device_name,
    device_setup,
    disable_malloc_trim,
    loader_workers,
    memory_of,
)
from vocctl.distributed import all_reduce_max, rank, world_size
from vocctl.errors import ConfigError, DataError, MemoryExceeded, RunError, is_out_of_memory
from vocctl.models.depthwise import train_depthwise_in_fp32
from vocctl.runs.folder import RunFolder, find_run
from vocctl.training.checkpoint import TrainState, has_checkpoint, load_latest_checkpoint
from vocctl.training.ema import MovingAverage
from vocctl.training.loop import Job, TrainProgress, fit, make_accelerator, progress_at
from vocctl.training.optim import build_optimizer
from vocctl.training.schedule import crop_side
from vocctl.training.signals import InterruptCheck, StopRequest, catch_signals

Layers = list[tuple[list[nn.Parameter], float]]
Loss = Callable[[Tensor, Tensor], Tensor]  # pixels, targets (both on the device) to a scalar
Scores = dict[str, float]


@dataclass(frozen=True)
class TrainingCallbacks:
    """What is told while a run goes on; the cli draws it."""

    on_note: Callable[[str], None] = lambda text: None
    on_count: Callable[[str, int, int], None] = lambda what, done, total: None  # images, before training
    on_progress: Callable[[TrainProgress], None] = lambda progress: None
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
class Recipe:
    """What a task hands over: its settings, and what differs between tasks."""

    data: DataConfig
    optim: OptimConfig
    train: TrainConfig
    images: TrainDataset
    layers: Callable[[], Layers]
    loss: Callable[[nn.Module, torch.device], Loss]  # of the network that trains
    validate: Callable[[nn.Module, DeviceSetup, InterruptCheck], Scores]
    prepare: Callable[[DeviceSetup, InterruptCheck], None] = lambda setup, check_interrupt: (
        None
    )  # before the first step, in training time
    conclude: Callable[[DeviceSetup, InterruptCheck], None] = lambda setup, check_interrupt: (
        None
    )  # once best and final weights are there
    find_unused: bool = False  # whether some parameters get no gradient in some steps
    on_epoch_start: Callable[[int], None] = lambda epoch: None  # epoch from 0; the model is in training mode


def training_setup(train: TrainConfig) -> DeviceSetup:
    """As hardware; ConfigError also for a batch that the processes can't share evenly, and where --compile can't work."""
    if train.batch % world_size():
        raise ConfigError(
            f"--batch {train.batch} is split over {world_size()} processes: take a multiple of {world_size()}"
        )
    setup = device_setup(train.device, train.precision)
    if train.compile:
        with explain_compile_error():
            torch.compile(lambda numbers: numbers + 1)(torch.ones(2, device=setup.device))
    return setup


def write_run_info(
    folder: RunFolder, splits: Splits, train: TrainConfig, parameters: dict[str, int], callbacks: TrainingCallbacks
) -> None:
    """Put into the run folder what it is trained on and how large it is, and say so. parameters: "model" first."""
    setup = device_setup(train.device, train.precision)
    data = {
        "path": str(splits.source.root),
        "fingerprint": splits.fingerprint,
        "train": len(splits.train.images),
        "val": len(splits.val.images),
    }
    folder.note(parameters=parameters, data=data, device=device_name(setup.device), precision=setup.precision)
    folder.write_json("split.json", {"train": splits.train.images.ids, "val": splits.val.images.ids})
    if splits.shared:
        callbacks.on_note(f"{splits.shared} images are in both splits: the validation scores flatter")
    counts = ", ".join(f"{count / 1e6:.2f} M {label}" for label, count in parameters.items() if label != "model")
    callbacks.on_note(f"run {folder.path}: {data['train']} images train, {data['val']} validate")
    callbacks.on_note(
        f"{parameters['model'] / 1e6:.2f} M parameters{f' ({counts})' if counts else ''}; {device_name(setup.device)}, "
        f"{setup.precision}"
    )
    if train.minutes:
        callbacks.on_note("--minutes ties the schedule to the clock: this run can't be repeated bit for bit")


def run_to_resume(name: str, task: str, default: Any) -> tuple[RunFolder, Any]:
    """The run folder and its config. Raises DataError: no such run."""
    folder = find_run(name, task)
    return folder, folder.config(default)


def resumable(folder: RunFolder, callbacks: TrainingCallbacks) -> bool:
    """Whether a run to resume has a state; one that was stopped before its first begins anew, to the same end."""
    if not has_checkpoint(folder.state):
        callbacks.on_note(f"{folder.path} was stopped before its first state: it begins anew")
        return False
    return True


def check_data_unchanged(folder: RunFolder, splits: Splits) -> None:
    noted = folder.about().get("data", {}).get("fingerprint")
    if noted not in (splits.fingerprint, None):  # None: it was stopped before that was noted
        raise DataError(
            f"{splits.source.root} has changed since {folder.path} was begun: restore it, or start a new run"
        )


def train_model(
    folder: RunFolder, model: nn.Module, recipe: Recipe, callbacks: TrainingCallbacks, *, resume: bool
) -> TrainResult:
    """The whole run, or the rest of it. Raises as training/loop.py's fit does; ConfigError: it has finished."""
    with catch_signals() as stop:
        return _train_until(stop, folder, model, recipe, callbacks, resume=resume)


def _train_until(
    stop: StopRequest,
    folder: RunFolder,
    model: nn.Module,
    recipe: Recipe,
    callbacks: TrainingCallbacks,
    *,
    resume: bool,
) -> TrainResult:
    setup = device_setup(recipe.train.device, recipe.train.precision)
    accelerator = make_accelerator(setup.device, setup.precision, find_unused=recipe.find_unused)
    model.to(device=accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    position = TrainState()
    if setup.device.type == "cpu":
        disable_malloc_trim()
    if not resume:
        folder.truncate_metrics(0)
        resumed = time.perf_counter()
        with explain_worker_death(folder):
            recipe.prepare(
                setup,
                lambda: stop.check_interrupt(f"stopped before the first step: --resume {folder.path} begins anew"),
            )
        (position.prepared,) = all_reduce_max([time.perf_counter() - resumed])
        position.seconds = position.prepared
        if recipe.train.minutes and position.prepared >= 60 * recipe.train.minutes:
            callbacks.on_note("all of --minutes went into what comes before the first step: one step is taken")
    average = MovingAverage(model, recipe.optim.ema)
    if setup.device.type == "cpu" and setup.precision == "bf16":
        train_depthwise_in_fp32(model)
    optimizer = build_optimizer(recipe.layers(), recipe.optim)
    network, prepared = accelerator.prepare(model, optimizer)
    if recipe.train.compile:  # model, which is validated and saved, stays as it is
        network = torch.compile(network)
    if resume:
        position = load_latest_checkpoint(folder.state, model, average.model, optimizer)
        if position.finished:
            raise ConfigError(f"{folder.path} has finished: `vocctl eval {folder.path}` scores it")
        if accelerator.scaler is not None and position.scaler:
            accelerator.scaler.load_state_dict(position.scaler)
        folder.truncate_metrics(position.metrics_bytes)
        callbacks.on_note(f"going on with {folder.path} from step {position.step}, epoch {position.epoch + 1}")
    loader, batches = _loader(recipe, position, setup)

    def batches_from(epoch: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
        recipe.on_epoch_start(epoch)
        batches.start_at(epoch, batch)
        yield from loader

    job = Job(
        accelerator=accelerator, model=model, average=average, optimizer=prepared,
        loss_fn=recipe.loss(network, accelerator.device), batches_from=batches_from, batches=_batches(recipe),
        validate=lambda scored, check_interrupt: recipe.validate(scored, setup, check_interrupt),
        conclude=lambda check_interrupt: recipe.conclude(setup, check_interrupt), optim=recipe.optim, train=recipe.train, run=folder, stop=stop,
        on_progress=callbacks.on_progress, on_epoch=callbacks.on_epoch,
    )  # fmt: skip
    with explain_worker_death(folder), explain_compile_error() if recipe.train.compile else nullcontext():
        end = fit(job, position)
    best = end.best if end.best is not None else math.nan
    return TrainResult(folder.path, end.best_epoch, best, recipe.train.monitor, end.scores, end.seconds)


def _batches(recipe: Recipe) -> int:
    """In an epoch."""
    return max(len(recipe.images) // recipe.train.batch, 1)


def _loader(
    recipe: Recipe, position: TrainState, setup: DeviceSetup
) -> tuple[Iterable[tuple[Tensor, Tensor]], EpochBatchSampler]:
    in_epoch = _batches(recipe)

    def side_at(epoch: int, batch: int) -> int:
        progress = progress_at(position, epoch, batch, in_epoch, recipe.train)
        return crop_side(progress, recipe.data.size, recipe.data.size_from)

    batches = EpochBatchSampler(
        len(recipe.images), recipe.train.batch, recipe.train.seed, side_at, rank=rank(), world_size=world_size()
    )
    if recipe.data.augment_on == "gpu":
        return DeviceLoader(recipe.images, batches, setup.device), batches
    workers = loader_workers(recipe.data.workers, setup.device)
    return train_loader(recipe.images, batches, workers=workers, pin=setup.device.type == "cuda"), batches


@contextmanager
def explain_worker_death(folder: RunFolder) -> Iterator[None]:
    """Turn a loader's worker that died into one line. torch raises it wherever the main process is at that moment."""
    try:
        yield
    except RuntimeError as error:
        if not any(words in str(error) for words in ("killed by signal", "exited unexpectedly")):
            raise  # an error inside a worker, which torch hands on under its own name
        raise RunError(
            f"a worker that loads images was killed, perhaps for want of memory: go on with --resume {folder.path}, and "
            "start runs with fewer --workers (--workers 0: none)"
        ) from error


@contextmanager
def explain_compile_error() -> Iterator[None]:
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


def encoder_lr_scale(config: Any, default: Any, callbacks: TrainingCallbacks) -> float:
    """Of what may be pretrained, as a share of lr. config, default: of train-seg or train-cls."""
    if config.model.pretrained:
        return float(config.optim.encoder_lr)
    if config.optim.encoder_lr != default.optim.encoder_lr:
        callbacks.on_note("--encoder-lr is for pretrained weights: all that begins from nothing learns at --lr")
    return 1.0


@contextmanager
def explain_oom(train: TrainConfig, data: DataConfig) -> Iterator[None]:
    """Turn an out-of-memory of the device or the host into one line with the numbers."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        images = "; with --augment-on gpu all images lie there too, with --augment-on cpu they don't"
        raise MemoryExceeded(
            f"out of memory with batches of {train.batch} at {data.size} px on {memory_of(train.device)}: halve --batch and "
            f"set --accumulate 2, or lower --size{images if data.augment_on == 'gpu' else ''}"
        ) from error
