"""The training loop: any model, any loss, batches of uint8 images with targets.

Read `_train_epoch` for the step. It never waits for the device, unless lovasz, an attack (--adv-train) or fp16's scale does: the
loss is looked at when it is shown. One that is not finite is found there, before anything is saved, and named by its step.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from signal import Signals
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.optim import Optimizer

from vocctl import distributed
from vocctl.config import OptimConfig, TrainConfig
from vocctl.devices import to_device, to_pixels
from vocctl.errors import RunError
from vocctl.runs.folder import RunFolder, checkpoint_about
from vocctl.training.checkpoint import TrainState, save_checkpoint
from vocctl.training.ema import MovingAverage
from vocctl.training.optim import clip_and_step, set_lr
from vocctl.training.schedule import lr_factor
from vocctl.training.signals import InterruptCheck, StopRequest
from vocctl.training.throughput import Throughput

SHOWN_EVERY = 0.5  # seconds between two looks at the loss
FAST_SAVE = 0.2  # seconds in which a state is written whose cost does not matter
SHARE = 0.1  # of the time at most goes into states that take longer, but for the first and the last
LOWER_IS_BETTER = ("val_loss",)


@dataclass(frozen=True)
class TrainProgress:
    """What a look at a running epoch shows."""

    epoch: int  # from 1
    epochs: int | None  # None with --minutes
    batch: int  # of this epoch
    batches: int
    done: float  # share of the run, in [0, 1]
    loss: float  # mean over this epoch so far
    lr: float
    images_per_second: float
    data_wait: float  # share of the time, in [0, 1]
    seconds_left: float  # of training, validations left out


@dataclass
class LoopState:
    """Where a running fit was last looked at and saved, the same on every rank but for shown."""

    first_nonfinite_step: Tensor  # the first step whose loss was not finite, -1 where none was
    saved: float  # position.seconds at the last state
    saving: float = 0.0  # seconds that it took; 0 where it was quick
    shown: float = 0.0  # on the clock

    def should_save(self, position: TrainState) -> bool:
        return position.seconds - self.saved >= self.saving / SHARE


@dataclass(frozen=True)
class Job:
    """Everything that a run trains with. batches_from(epoch, batch) yields (images, targets), both uint8."""

    accelerator: Accelerator
    model: nn.Module
    average: MovingAverage
    optimizer: Optimizer
    loss_fn: Callable[[Tensor, Tensor], Tensor]  # forward and loss of one batch: pixels, targets to a scalar
    batches_from: Callable[[int, int], Iterable[tuple[Tensor, Tensor]]]
    batches: int  # in an epoch
    validate: Callable[[nn.Module, InterruptCheck], dict[str, float]]
    conclude: Callable[
        [InterruptCheck], None
    ]  # when best and final weights are there, before the run counts as finished
    optim: OptimConfig
    train: TrainConfig
    run: RunFolder
    stop: StopRequest
    on_progress: Callable[[TrainProgress], None]
    on_epoch: Callable[[dict[str, Any]], None]


def make_accelerator(device: torch.device, precision: str, *, find_unused: bool = False) -> Accelerator:
    """Accelerate's state outlives a run; a second run in one process starts from a clean one.

    find_unused: some parameters get no gradient in some steps, which several ranks have to look out for.
    """
    if not torch.distributed.is_initialized():
        AcceleratorState._reset_state(reset_partial_state=True)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    mixed = {"fp32": "no"}.get(precision, precision)
    return Accelerator(
        cpu=device.type == "cpu", mixed_precision=mixed, step_scheduler_with_optimizer=False,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=find_unused)],
    )  # fmt: skip


def fit(job: Job, position: TrainState) -> TrainState:
    """Train from position to the end. Saves states, best and final weights; returns where it ended.

    Raises RunError: a loss not finite, no space left. Interrupted: a signal came; the state is saved.
    """
    looks = LoopState(torch.tensor(-1, device=job.accelerator.device), position.seconds)
    while position.batch or not _over(job, position):  # a state lies between an epoch's last step and its scores
        settled = _train_epoch(job, position, looks)
        last_epoch = _over(job, position, epochs_done=position.epoch + 1)
        scored = (position.epoch + 1) % job.train.eval_every == 0 or last_epoch
        saved = last_epoch or looks.should_save(position)
        if scored or saved:  # else the device goes on into the next epoch
            trained = settled()
        if saved:
            _save(job, position, looks)
        if scored:
            _validate(job, position, trained)
        position.epoch, position.batch, position.loss_sum = position.epoch + 1, 0, 0.0
    job.run.save_weights("final", job.average.model, checkpoint_about(position.step, position.epoch))
    distributed.barrier()
    job.conclude(lambda: _heed(job, position))
    position.finished = True
    _save(job, position)
    distributed.barrier()
    return position


def _over(job: Job, position: TrainState, epochs_done: int | None = None) -> bool:
    """Whether the epochs, the minutes or the patience are used up."""
    if 0 < job.train.patience <= position.epochs_without_improvement or position.finished:
        return True
    if job.train.minutes:
        return position.step > 0 and position.seconds >= 60 * job.train.minutes
    return (position.epoch if epochs_done is None else epochs_done) >= job.train.epochs


def progress_at(position: TrainState, epoch: int, batch: int, batches: int, train: TrainConfig) -> float:
    """Share of the steps that lies behind, in [0, 1]: by their time so far, or by the batches before this one."""
    if train.minutes:
        return (position.seconds - position.prepared) / max(60 * train.minutes - position.prepared, 1e-6)
    return (epoch + batch / batches) / train.epochs


def _done(job: Job, position: TrainState) -> float:
    return progress_at(position, position.epoch, position.batch, job.batches, job.train)


def _train_epoch(job: Job, position: TrainState, looks: LoopState) -> Callable[[], dict[str, float]]:
    """The rest of the epoch under way, none of it where the minutes are used up; moves position.

    Returns what waits for the device, then tells the epoch's mean loss, last rate and speed.
    """
    device, parameters = job.accelerator.device, list(job.model.parameters())
    loss_sum = torch.tensor(position.loss_sum, device=device)
    before, pace = position.seconds, Throughput()
    job.model.train()
    rest = () if _over(job, position) else job.batches_from(position.epoch, position.batch)
    for images, targets in pace.over(rest):
        set_lr(job.optimizer, lr_factor(_done(job, position), job.optim))
        position.lr = max(group["lr"] for group in job.optimizer.param_groups)
        pixels, labels = to_pixels(images, device), to_device(targets, device).long()
        loss = job.loss_fn(pixels, labels)
        job.accelerator.backward(loss / _batches_to_step(job, position))
        position.batch += 1
        bad = (looks.first_nonfinite_step < 0) & ~loss.detach().isfinite()
        looks.first_nonfinite_step = torch.where(bad, position.step, looks.first_nonfinite_step)
        loss_sum += loss.detach()
        whole = position.batch % job.optim.accumulate == 0 or position.batch == job.batches
        if whole:
            clip_and_step(job.accelerator, job.optimizer, parameters, job.optim.clip_norm)
            position.step += 1
            job.average.update(job.model, position.step)
        now = time.perf_counter()
        position.seconds, asked = distributed.all_reduce_max([before + now - pace.started, float(job.stop.asked or 0)])
        if now - looks.shown >= SHOWN_EVERY:
            looks.shown = now
            _refuse_bad(looks)
            job.on_progress(_progress(job, position, loss_sum.item(), pace))
        if whole and (asked or position.seconds - looks.saved >= 60 * job.train.save_every):
            _refuse_bad(looks)
            position.loss_sum = loss_sum.item()
            _save(job, position, looks)
            if asked:
                job.stop.asked = Signals(int(asked))  # of several ranks any may have been told
                raise job.stop.error(
                    f"stopped at step {position.step}, all is saved: go on with --resume {job.run.path}"
                )
        if whole and job.train.minutes and position.seconds >= 60 * job.train.minutes:
            break

    def settled() -> dict[str, float]:
        _refuse_bad(looks)
        position.loss_sum = loss_sum.item()
        (position.seconds,) = distributed.all_reduce_max(
            [before + pace.seconds]
        )  # a device that lay behind has caught up
        return {
            "train_loss": position.loss_sum / max(position.batch, 1),
            "lr": position.lr,
            "images_per_second": pace.images_per_second,
            "data_wait": pace.data_wait,
        }

    return settled


def _batches_to_step(job: Job, position: TrainState) -> int:
    """How many batches make the step under way: fewer at an epoch's end, where --accumulate does not divide it."""
    first = position.batch - position.batch % job.optim.accumulate
    return min(job.optim.accumulate, job.batches - first)


def _progress(job: Job, position: TrainState, loss_sum: float, pace: Throughput) -> TrainProgress:
    done = _done(job, position)
    return TrainProgress(
        epoch=position.epoch + 1,
        epochs=None if job.train.minutes else job.train.epochs,
        batch=position.batch,
        batches=job.batches,
        done=min(done, 1.0),
        loss=loss_sum / max(position.batch, 1),
        lr=position.lr,
        images_per_second=pace.images_per_second,
        data_wait=pace.data_wait,
        seconds_left=(position.seconds - position.prepared) * max(1 - done, 0) / max(done, 1e-6),
    )


def _refuse_bad(looks: LoopState) -> None:
    if (step := int(looks.first_nonfinite_step.item())) >= 0:
        raise RunError(
            f"the loss is not finite at step {step}: lower --lr, or take --precision fp32; the states before it stand"
        )


def _validate(job: Job, position: TrainState, trained: dict[str, float]) -> None:
    """Score the averaged weights, write the line, keep them if they are the best so far."""
    job.model.eval()
    distributed.broadcast(job.average.model.buffers())  # batch norm's statistics are the first rank's
    began = time.perf_counter()
    position.scores = scores = distributed.broadcast_object(
        job.validate(job.average.model, lambda: _heed(job, position))
    )
    record = {"epoch": position.epoch + 1, "step": position.step, **trained, **scores}
    record |= {"train_seconds": position.seconds, "val_seconds": time.perf_counter() - began}
    value = scores[job.train.monitor]
    better = position.best is None or (
        value < position.best if job.train.monitor in LOWER_IS_BETTER else value > position.best
    )
    position.epochs_without_improvement = 0 if better else position.epochs_without_improvement + 1
    if better:
        position.best, position.best_epoch = value, position.epoch + 1
        job.run.save_weights("best", job.average.model, checkpoint_about(position.step, position.epoch + 1))
    position.metrics_bytes = job.run.append_metrics(record)
    job.on_epoch(record)


def _heed(job: Job, position: TrainState) -> None:
    if job.stop.asked:
        _save(job, position)
    job.stop.check_interrupt(f"stopped while images are scored, all is saved: go on with --resume {job.run.path}")


def _save(job: Job, position: TrainState, looks: LoopState | None = None) -> None:
    began = time.perf_counter()
    scaler = job.accelerator.scaler
    position.scaler = scaler.state_dict() if scaler is not None and scaler.is_enabled() else {}
    save_checkpoint(job.run.state, position, job.model, job.average.model, job.optimizer)
    if looks is not None:
        (took,) = distributed.all_reduce_max([time.perf_counter() - began])
        looks.saved, looks.saving = position.seconds, took if took > FAST_SAVE else 0.0
