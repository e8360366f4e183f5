"""The training loop: any TrainingTask, on one process or several.

Read `_train_epoch` for the training step. It waits for the device only where lovasz, an attack (--adv-train) or fp16's loss
scaling does: the loss is copied to the host when it is reported. A loss that is not finite is found there, before anything
is saved, and named by its step.
"""

import math
import time
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from signal import Signals

import torch
from torch import Tensor

from vocctl.data.datasets import TrainDataset
from vocctl.data.device_loader import DeviceLoader, augments_on_device
from vocctl.data.loaders import EpochBatchSampler, train_loader
from vocctl.devices import DeviceSetup, disable_malloc_trim, loader_workers, to_device, to_inputs
from vocctl.distributed import all_reduce_max, barrier, broadcast, broadcast_object, rank, world_size
from vocctl.errors import ConfigError, RunError
from vocctl.metrics.table import METRICS
from vocctl.models.depthwise import train_depthwise_in_fp32
from vocctl.runs.folder import RunFolder
from vocctl.runs.weights import weights_metadata
from vocctl.training.accelerator import make_accelerator
from vocctl.training.checkpoint import TrainState, load_latest_checkpoint, save_checkpoint
from vocctl.training.ema import MovingAverage
from vocctl.training.explain import explain_compile_error, explain_worker_death
from vocctl.training.optim import build_optimizer, clip_and_step, set_lr
from vocctl.training.reporter import Reporter, TrainProgress
from vocctl.training.schedule import crop_side, lr_factor
from vocctl.training.signals import StopRequest
from vocctl.training.task import TrainingTask, TrainResult
from vocctl.training.throughput import Throughput

REPORT_INTERVAL = 0.5  # seconds between two reports of the loss
FAST_SAVE = 0.2  # seconds: a checkpoint written in less costs nothing that matters
MAX_SAVE_OVERHEAD = 0.1  # fraction of the time that slower checkpoints may take, apart from the first and the last
MAX_VALIDATION_SHARE = 0.1  # fraction of --minutes that validations may take, apart from the last
ESTIMATE_IMAGES = 8  # validated before the first step to estimate how long a validation takes


@dataclass
class _Epoch:
    """What is measured of a running epoch."""

    loss_sum: Tensor  # scalar on the device, over the batches of this epoch
    seconds_before: float  # of training, before this epoch or its resumption
    throughput: Throughput = field(default_factory=Throughput)


@dataclass
class _LoopState:
    """When the running loop reported and saved last. Not part of a checkpoint."""

    first_nonfinite_step: Tensor  # scalar on the device; -1: every loss so far was finite
    saved_at: float = 0.0  # training seconds at the last checkpoint
    save_seconds: float = 0.0  # time that it took to write; 0 if less than FAST_SAVE
    reported_at: float = -math.inf  # time.perf_counter() at the last report
    val_seconds: float = 0.0  # that a validation takes, estimated before the first one
    all_val_seconds: float = 0.0  # of all validations of this process

    def may_save(self, seconds: float) -> bool:
        """Whether a checkpoint now keeps the overhead below MAX_SAVE_OVERHEAD."""
        return seconds - self.saved_at >= self.save_seconds / MAX_SAVE_OVERHEAD


class Trainer:
    """Trains one task into one run folder. Call start or restore, then fit."""

    def __init__(
        self,
        task: TrainingTask,
        run: RunFolder,
        setup: DeviceSetup,
        reporter: Reporter,
        stop: StopRequest,
        *,
        command_started: float,
    ) -> None:
        """command_started: time.perf_counter() when the command started, from which --minutes counts."""
        self.command_started = command_started
        self.task, self.run, self.setup, self.reporter, self.stop = task, run, setup, reporter, stop
        self.optim, self.train = task.config.optim, task.config.train
        self.state = TrainState()
        self.accelerator = make_accelerator(setup, find_unused_parameters=task.find_unused_parameters)
        self.device = self.accelerator.device
        self.model = task.model.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.batches = max(len(task.splits.train.images) // self.train.batch, 1)  # in an epoch
        self.loop = _LoopState(torch.tensor(-1, device=self.device))
        if setup.device.type == "cpu":
            disable_malloc_trim()

    def start(self) -> None:
        """Prepare a new run: the task's own preparation counts as training time."""
        self.run.truncate_metrics(0)
        started = time.perf_counter()
        self._prepare(resumed=False)
        self._build()
        (self.state.seconds,) = all_reduce_max([time.perf_counter() - started])
        self._update_wall_seconds()
        self.state.prepared = self.state.wall_seconds

    def restore(self) -> None:
        """Load the newest checkpoint. Raises DataError: none can be read. ConfigError: the run has finished."""
        self._prepare(resumed=True)
        self._build()
        self.state = load_latest_checkpoint(self.run.checkpoint_dir, self.model, self.ema.model, self.raw_optimizer)
        if self.state.finished:
            raise ConfigError(f"{self.run.path} has finished: score it with `vocctl eval {self.run.path}`")
        if self.accelerator.scaler is not None and self.state.scaler:
            self.accelerator.scaler.load_state_dict(self.state.scaler)
        self.command_started -= self.state.wall_seconds  # of the earlier processes
        self.run.truncate_metrics(self.state.metrics_bytes)
        self.reporter.note(f"resuming {self.run.path} at step {self.state.step}, epoch {self.state.epoch + 1}")

    def _prepare(self, *, resumed: bool) -> None:
        message = f"stopped before the first step: --resume {self.run.path} starts again"
        with explain_worker_death(self.run):
            self.task.before_training(lambda: self.stop.raise_if_received(message), resumed=resumed)

    def _build(self) -> None:
        self.ema = MovingAverage(self.model, self.optim.ema)
        if self.setup.device.type == "cpu" and self.setup.precision == "bf16":
            train_depthwise_in_fp32(self.model)
        self.raw_optimizer = build_optimizer(self.model, self.task.lr_scales(), self.optim)
        self.network, self.optimizer = self.accelerator.prepare(self.model, self.raw_optimizer)
        if self.train.compile:  # self.model, which is validated and saved, is not compiled
            self.network = torch.compile(self.network)

    def fit(self) -> TrainResult:
        """Train until the epochs, the minutes or the patience are used up; save checkpoints, best and final weights.

        Raises RunError: a loss that is not finite, or no space left. Interrupted: a signal was received, all is saved.
        """
        state, self.loop.saved_at = self.state, self.state.seconds
        self.sampler, self.loader = self._make_loader()
        if self.train.minutes:
            self._estimate_validation()
        explain_compile = explain_compile_error() if self.train.compile else nullcontext()
        with explain_worker_death(self.run), explain_compile:
            while state.batch or not self._is_over(state.epoch):  # state.batch > 0: an epoch was interrupted
                self._run_epoch()
            self._save_weights("final", state.epoch)
            state.finished = True
            self._save()
            barrier()
        best = math.nan if state.best is None else state.best
        return TrainResult(self.run.path, state.best_epoch, best, self.train.monitor, state.scores, state.seconds)

    def _run_epoch(self) -> None:
        """Train the rest of the epoch, then validate and save as the settings ask for."""
        state = self.state
        epoch = self._train_epoch()
        last = self._is_over(state.epoch + 1)
        validates = last or ((state.epoch + 1) % self.train.eval_every == 0 and self._may_validate())
        saves = last or self.loop.may_save(state.seconds)
        if validates or saves:  # otherwise the device continues with the next epoch without a wait
            statistics = self._finish_epoch(epoch)
            if saves:
                self._save_timed()
            if validates:
                self._validate(statistics)
        state.epoch, state.batch, state.loss_sum = state.epoch + 1, 0, 0.0

    def _train_epoch(self) -> _Epoch:
        """Train on the remaining batches of the epoch. There are none if the minutes are used up."""
        state, parameters = self.state, list(self.model.parameters())
        epoch = _Epoch(torch.tensor(state.loss_sum, device=self.device), state.seconds)
        self.model.train()
        for images, targets in epoch.throughput.measure(self._remaining_batches()):
            state.lr = set_lr(self.optimizer, lr_factor(self._progress_at(state.epoch, state.batch), self.optim))
            inputs, labels = to_inputs(images, self.device), to_device(targets, self.device).long()
            loss = self.task.loss(self.network, inputs, labels)
            self.accelerator.backward(loss / self._batches_in_step())
            state.batch += 1
            self._add_loss(epoch, loss.detach())
            step_done = state.batch % self.optim.accumulate == 0 or state.batch == self.batches
            if step_done:
                clip_and_step(self.accelerator, self.optimizer, parameters, self.optim.clip_norm)
                state.step += 1
                self.ema.update(self.model, state.step)
            self._report_and_save(epoch, step_done)
            if step_done and self._minutes_are_over():
                break
        return epoch

    def _remaining_batches(self) -> Iterable[tuple[Tensor, Tensor]]:
        if self._is_over(self.state.epoch):
            return
        self.task.on_epoch_start(self.state.epoch)
        self.sampler.start_at(self.state.epoch, self.state.batch)
        yield from self.loader

    def _batches_in_step(self) -> int:
        """Batches of the current step: fewer at an epoch's end, if --accumulate does not divide it."""
        first = self.state.batch - self.state.batch % self.optim.accumulate
        return min(self.optim.accumulate, self.batches - first)

    def _add_loss(self, epoch: _Epoch, loss: Tensor) -> None:
        first_nonfinite = (self.loop.first_nonfinite_step < 0) & ~loss.isfinite()
        self.loop.first_nonfinite_step = torch.where(first_nonfinite, self.state.step, self.loop.first_nonfinite_step)
        epoch.loss_sum += loss

    def _report_and_save(self, epoch: _Epoch, step_done: bool) -> None:
        """Report the loss and save a checkpoint if it is time for either. Raises Interrupted: a signal was received."""
        state, loop, now = self.state, self.loop, time.perf_counter()
        seconds = epoch.seconds_before + now - epoch.throughput.started
        state.seconds, state.wall_seconds, received = all_reduce_max(
            [seconds, now - self.command_started, float(self.stop.signal_received or 0)]
        )
        if now - loop.reported_at >= REPORT_INTERVAL:
            loop.reported_at = now
            self._check_finite()
            self.reporter.progress(self._progress_report(epoch))
        if step_done and (received or state.seconds - loop.saved_at >= 60 * self.train.save_every):
            self._check_finite()
            state.loss_sum = epoch.loss_sum.item()
            self._save_timed()
            if received:
                self.stop.signal_received = Signals(int(received))  # it may have been sent to another process only
                raise self.stop.error(
                    f"stopped at step {state.step}, all is saved: resume with --resume {self.run.path}"
                )

    def _finish_epoch(self, epoch: _Epoch) -> dict[str, float]:
        """Wait for the device; return the epoch's mean loss, last learning rate and speed."""
        self._check_finite()
        self.state.loss_sum = epoch.loss_sum.item()
        (self.state.seconds,) = all_reduce_max([epoch.seconds_before + epoch.throughput.seconds])
        self._update_wall_seconds()
        return {
            "train_loss": self.state.loss_sum / max(self.state.batch, 1),
            "lr": self.state.lr,
            "images_per_second": epoch.throughput.images_per_second,
            "data_wait": epoch.throughput.data_wait,
        }

    def _validate(self, statistics: dict[str, float]) -> None:
        """Score the averaged weights, append to metrics.jsonl, save the weights if they are the best so far."""
        state = self.state
        self.model.eval()
        broadcast(self.ema.model.buffers())  # batch-norm statistics differ between processes
        started = time.perf_counter()
        state.scores = broadcast_object(self.task.validate(self.ema.model, self._check_interrupt))
        record = {"epoch": state.epoch + 1, "step": state.step, **statistics, **state.scores}
        (self.loop.val_seconds,) = all_reduce_max([time.perf_counter() - started])
        self.loop.all_val_seconds += self.loop.val_seconds
        record |= {"train_seconds": state.seconds, "val_seconds": self.loop.val_seconds}
        if self._is_best(state.scores[self.train.monitor]):
            state.best, state.best_epoch = state.scores[self.train.monitor], state.epoch + 1
            state.epochs_without_improvement = 0
            self._save_weights("best", state.epoch + 1)
        else:
            state.epochs_without_improvement += 1
        state.metrics_bytes = self.run.append_metrics(record)
        self._update_wall_seconds()
        self.reporter.epoch(record)

    def _save_weights(self, checkpoint: str, epochs: int) -> None:
        """Save the averaged weights as best or final, with what the task saves beside them."""
        self.run.save_weights(checkpoint, self.ema.model, weights_metadata(self.state.step, epochs))
        barrier()
        self.task.on_saved(self.run, checkpoint, self.ema.model, self._check_interrupt)

    def _estimate_validation(self) -> None:
        """Measure how long a validation takes, by a few images: the last one has to fit into --minutes."""
        limit = min(ESTIMATE_IMAGES, self.task.num_validated)
        self.task.validate(self.ema.model, self._check_interrupt, limit)  # not timed: the first call also warms up
        started = time.perf_counter()
        self.task.validate(self.ema.model, self._check_interrupt, limit)
        seconds = (time.perf_counter() - started) * self.task.num_validated / limit
        (self.loop.val_seconds,) = all_reduce_max([seconds])
        self._update_wall_seconds()
        if self._minutes_are_over():
            self.reporter.note(
                f"{self.train.minutes:g} minutes are too few to prepare, train and validate: one step is trained"
            )

    def _may_validate(self) -> bool:
        """Whether a validation now keeps their share of --minutes below MAX_VALIDATION_SHARE."""
        if not self.train.minutes:
            return True
        after = self.loop.all_val_seconds + self.loop.val_seconds
        return after <= MAX_VALIDATION_SHARE * (self.state.wall_seconds + self.loop.val_seconds)

    def _update_wall_seconds(self) -> None:
        (self.state.wall_seconds,) = all_reduce_max([time.perf_counter() - self.command_started])

    @property
    def _last_step_at(self) -> float:
        """Wall seconds at which the training steps of a run with --minutes end: validation and saving follow."""
        return 60 * self.train.minutes - self.loop.val_seconds - 3 * self.loop.save_seconds

    def _is_best(self, value: float) -> bool:
        best = self.state.best
        if best is None:
            return True
        return METRICS[self.train.monitor].is_better(value, best)

    def _is_over(self, epochs_done: int) -> bool:
        """Whether the epochs, the minutes or the patience are used up."""
        state = self.state
        if 0 < self.train.patience <= state.epochs_without_improvement or state.finished:
            return True
        if self.train.minutes:
            return state.step > 0 and self._minutes_are_over()
        return epochs_done >= self.train.epochs

    def _minutes_are_over(self) -> bool:
        return self.train.minutes > 0 and self.state.wall_seconds >= self._last_step_at

    def _progress_at(self, epoch: int, batch: int) -> float:
        """Fraction of the run before this batch, in [0, 1]: of its batches, or of its time with --minutes."""
        if self.train.minutes:
            total = max(self._last_step_at - self.state.prepared, 1e-6)
            return (self.state.wall_seconds - self.state.prepared) / total
        return (epoch + batch / self.batches) / self.train.epochs

    def _progress_report(self, epoch: _Epoch) -> TrainProgress:
        state = self.state
        done = self._progress_at(state.epoch, state.batch)
        return TrainProgress(
            epoch=state.epoch + 1,
            epochs=None if self.train.minutes else self.train.epochs,
            batch=state.batch,
            batches=self.batches,
            done=min(done, 1.0),
            loss=epoch.loss_sum.item() / max(state.batch, 1),
            lr=state.lr,
            images_per_second=epoch.throughput.images_per_second,
            data_wait=epoch.throughput.data_wait,
            seconds_left=self._seconds_left(done),
        )

    def _seconds_left(self, done: float) -> float:
        if self.train.minutes:
            return max(60 * self.train.minutes - self.state.wall_seconds, 0.0)
        return (self.state.wall_seconds - self.state.prepared) * max(1 - done, 0) / max(done, 1e-6)

    def _check_finite(self) -> None:
        if (step := int(self.loop.first_nonfinite_step.item())) >= 0:
            raise RunError(
                f"the loss is not finite at step {step}: lower --lr or use --precision fp32; earlier checkpoints are kept"
            )

    def _check_interrupt(self) -> None:
        """Save and raise Interrupted if a signal was received, during validation."""
        if self.stop.signal_received:
            self._save()
        self.stop.raise_if_received(f"stopped during validation, all is saved: resume with --resume {self.run.path}")

    def _save(self) -> None:
        scaler = self.accelerator.scaler
        self.state.scaler = scaler.state_dict() if scaler is not None and scaler.is_enabled() else {}
        save_checkpoint(self.run.checkpoint_dir, self.state, self.model, self.ema.model, self.optimizer)

    def _save_timed(self) -> None:
        """Save, and measure how long it takes. Every process of a distributed run has to call it."""
        started = time.perf_counter()
        self._save()
        (seconds,) = all_reduce_max([time.perf_counter() - started])
        self.loop.saved_at = self.state.seconds
        self.loop.save_seconds = seconds if seconds > FAST_SAVE else 0.0

    def _make_loader(self) -> tuple[EpochBatchSampler, Iterable[tuple[Tensor, Tensor]]]:
        dataset, data = self.task.dataset, self.task.config.data

        def side_at(epoch: int, batch: int) -> int:
            return crop_side(self._progress_at(epoch, batch), data.size, data.size_from)

        sampler = EpochBatchSampler(
            len(self.task.splits.train.images),
            self.train.batch,
            self.train.seed,
            side_at,
            rank=rank(),
            world_size=world_size(),
        )
        if isinstance(dataset, TrainDataset) and augments_on_device(data.augment_on, dataset, self.setup.device):
            return sampler, DeviceLoader(dataset, sampler, self.setup.device)
        workers = loader_workers(data.workers, self.setup.device)
        return sampler, train_loader(dataset, sampler, workers=workers, pin=self.setup.device.type == "cuda")
