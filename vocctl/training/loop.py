"""The training loop: any model, any loss, batches of uint8 images with targets.

Read `_train_epoch` for the step. It never waits for the device, unless lovasz, an attack (--adv) or fp16's scale does: the
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

from vocctl import ranks
from vocctl.config import OptimConfig, TrainConfig
from vocctl.devices import moved, to_pixels
from vocctl.errors import RunError
from vocctl.runs import RunFolder, checkpoint_about
from vocctl.training.ema import MovingAverage
from vocctl.training.interrupt import Heed, StopRequest
from vocctl.training.optim import clip_and_step, set_lr
from vocctl.training.pace import Pace
from vocctl.training.schedule import lr_factor
from vocctl.training.state import Position, save_state

SHOWN_EVERY = 0.5  # seconds between two looks at the loss
LOWER_IS_BETTER = ("val_loss",)


@dataclass(frozen=True)
class Progress:
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
    validate: Callable[[nn.Module, Heed], dict[str, float]]
    conclude: Callable[[Heed], None]  # when best and final weights are there, before the run counts as finished
    optim: OptimConfig
    train: TrainConfig
    run: RunFolder
    stop: StopRequest
    on_progress: Callable[[Progress], None]
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


def fit(job: Job, position: Position) -> Position:
    """Train from position to the end. Saves states, best and final weights; returns where it ended.

    Raises RunError: a loss not finite, no space left. Interrupted: a signal came; the state is saved.
    """
    while position.batch or not _over(job, position):  # a state lies between an epoch's last step and its scores
        trained = _train_epoch(job, position)
        _save(job, position)
        last_epoch = _over(job, position, epochs_done=position.epoch + 1)
        if (position.epoch + 1) % job.train.eval_every == 0 or last_epoch:
            _validate(job, position, trained)
        position.epoch, position.batch, position.loss_sum = position.epoch + 1, 0, 0.0
    job.run.save_weights("final", job.average.model, checkpoint_about(position.step, position.epoch))
    ranks.wait()
    job.conclude(lambda: _heed(job))
    position.finished = True
    _save(job, position)
    ranks.wait()
    return position


def _over(job: Job, position: Position, epochs_done: int | None = None) -> bool:
    """Whether the epochs, the minutes or the patience are used up."""
    if 0 < job.train.patience <= position.stale or position.finished:
        return True
    if job.train.minutes:
        return position.step > 0 and position.seconds >= 60 * job.train.minutes
    return (position.epoch if epochs_done is None else epochs_done) >= job.train.epochs


def progress_at(position: Position, epoch: int, batch: int, batches: int, train: TrainConfig) -> float:
    """Share of the steps that lies behind, in [0, 1]: by their time so far, or by the batches before this one."""
    if train.minutes:
        return (position.seconds - position.prepared) / max(60 * train.minutes - position.prepared, 1e-6)
    return (epoch + batch / batches) / train.epochs


def _done(job: Job, position: Position) -> float:
    return progress_at(position, position.epoch, position.batch, job.batches, job.train)


def _train_epoch(job: Job, position: Position) -> dict[str, float]:
    """The rest of the epoch under way, none of it where the minutes are used up; moves position.

    Returns the epoch's mean loss, last rate and speed.
    """
    device, parameters = job.accelerator.device, list(job.model.parameters())
    loss_sum = torch.tensor(position.loss_sum, device=device)
    first_bad = torch.tensor(-1, device=device)
    shown, before, saved = 0.0, position.seconds, time.perf_counter()
    pace = Pace()
    job.model.train()
    rest = () if _over(job, position) else job.batches_from(position.epoch, position.batch)
    for images, targets in pace.over(rest):
        set_lr(job.optimizer, lr_factor(_done(job, position), job.optim))
        position.lr = max(group["lr"] for group in job.optimizer.param_groups)
        pixels, labels = to_pixels(images, device), moved(targets, device).long()
        loss = job.loss_fn(pixels, labels)
        job.accelerator.backward(loss / _batches_to_step(job, position))
        position.batch += 1
        first_bad = torch.where((first_bad < 0) & ~loss.detach().isfinite(), position.step, first_bad)
        loss_sum += loss.detach()
        whole = position.batch % job.optim.accumulate == 0 or position.batch == job.batches
        if whole:
            clip_and_step(job.accelerator, job.optimizer, parameters, job.optim.clip_norm)
            position.step += 1
            job.average.update(job.model, position.step)
        now = time.perf_counter()
        position.seconds, asked = ranks.largest([before + now - pace.started, float(job.stop.asked or 0)])
        if now - shown >= SHOWN_EVERY:
            shown = now
            _refuse_bad(first_bad)
            job.on_progress(_progress(job, position, loss_sum.item(), pace))
        if whole and (asked or now - saved >= 60 * job.train.save_every):
            _refuse_bad(first_bad)
            position.loss_sum, saved = loss_sum.item(), now
            _save(job, position)
            if asked:
                job.stop.asked = Signals(int(asked))  # of several ranks any may have been told
                raise job.stop.error(
                    f"stopped at step {position.step}, all is saved: go on with --resume {job.run.path}"
                )
        if whole and job.train.minutes and position.seconds >= 60 * job.train.minutes:
            break
    _refuse_bad(first_bad)
    position.loss_sum = loss_sum.item()
    (position.seconds,) = ranks.largest([before + pace.seconds])  # a device that lay behind has caught up
    return {
        "train_loss": position.loss_sum / max(position.batch, 1),
        "lr": position.lr,
        "images_per_second": pace.images_per_second,
        "data_wait": pace.data_wait,
    }


def _batches_to_step(job: Job, position: Position) -> int:
    """How many batches make the step under way: fewer at an epoch's end, where --accumulate does not divide it."""
    first = position.batch - position.batch % job.optim.accumulate
    return min(job.optim.accumulate, job.batches - first)


def _progress(job: Job, position: Position, loss_sum: float, pace: Pace) -> Progress:
    done = _done(job, position)
    return Progress(
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


def _refuse_bad(first_bad: Tensor) -> None:
    if (step := int(first_bad.item())) >= 0:
        raise RunError(
            f"the loss is not finite at step {step}: lower --lr, or take --precision fp32; the states before it stand"
        )


def _validate(job: Job, position: Position, trained: dict[str, float]) -> None:
    """Score the averaged weights, write the line, keep them if they are the best so far."""
    job.model.eval()
    ranks.copy_first(job.average.model.buffers())  # batch norm's statistics are the first rank's
    began = time.perf_counter()
    position.scores = scores = ranks.first_says(job.validate(job.average.model, lambda: _heed(job)))
    record = {"epoch": position.epoch + 1, "step": position.step, **trained, **scores}
    record |= {"train_seconds": position.seconds, "val_seconds": time.perf_counter() - began}
    value = scores[job.train.monitor]
    better = position.best is None or (
        value < position.best if job.train.monitor in LOWER_IS_BETTER else value > position.best
    )
    position.stale = 0 if better else position.stale + 1
    if better:
        position.best, position.best_epoch = value, position.epoch + 1
        job.run.save_weights("best", job.average.model, checkpoint_about(position.step, position.epoch + 1))
    position.metrics_bytes = job.run.append_metrics(record)
    job.on_epoch(record)


def _heed(job: Job) -> None:
    job.stop.heed(f"stopped while photos are scored, all is saved: go on with --resume {job.run.path}")


def _save(job: Job, position: Position) -> None:
    scaler = job.accelerator.scaler
    position.scaler = scaler.state_dict() if scaler is not None and scaler.is_enabled() else {}
    save_state(job.run.state, position, job.model, job.average.model, job.optimizer)
