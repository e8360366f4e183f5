"""Start or resume a training run of train-seg, train-cls or train-adv."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch

from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainingConfig, TrainSegConfig
from vocctl.devices import DeviceSetup, device_name, device_setup
from vocctl.distributed import all_gather_object, world_size
from vocctl.errors import ConfigError, DataError
from vocctl.runs.find import find_run, new_run_dir
from vocctl.runs.folder import RunFolder, create_run
from vocctl.training.batch_check import check_batch_shape
from vocctl.training.checkpoint import has_checkpoint
from vocctl.training.explain import explain_compile_error, explain_oom
from vocctl.training.reporter import Reporter, SilentReporter
from vocctl.training.signals import catch_signals
from vocctl.training.task import TrainingTask, TrainResult
from vocctl.training.trainer import Trainer

Config = TypeVar("Config", TrainSegConfig, TrainClsConfig, TrainAdvConfig)
PRECISIONS = ("fp32", "fp16", "bf16")  # ordered: a GPU that is fast in one supports those before it
# opens data and model; the last argument is True if a checkpoint is about to replace the model's weights
OpenTask = Callable[[Config, DeviceSetup, Reporter, bool], TrainingTask]


def train(
    open_task: OpenTask[Config],
    config: Config,
    command: str,
    *,
    out: Path | None = None,
    name: str | None = None,
    reporter: Reporter | None = None,
    command_started: float | None = None,
) -> TrainResult:
    """Train a new run into out, or into runs/<kind>/<name>; the name is generated from the config if none is given.

    command_started: time.perf_counter() from which --minutes counts; None: now.
    Raises, before the run folder is created, DataError and ConfigError, also for batches that are too small for the model;
    MemoryExceeded; RunError and Interrupted as Trainer.fit does.
    """
    reporter, started = reporter or SilentReporter(), command_started or time.perf_counter()
    setup = training_setup(config)  # first, because its errors need neither data nor model
    with explain_oom(config.train, config.data):
        task = open_task(config, setup, reporter, False)
        check_batch(task)
        run = create_run(new_run_dir(out, name, command.removeprefix("train-"), task.run_name), command, task.config)
        write_run_info(run, task, setup, reporter)
        with catch_signals() as stop:
            trainer = Trainer(task, run, setup, reporter, stop, command_started=started)
            trainer.start()
            return trainer.fit()


def resume(
    open_task: OpenTask[Config],
    default: Config,
    command: str,
    name: str,
    *,
    data: Path | None = None,
    reporter: Reporter | None = None,
    command_started: float | None = None,
) -> TrainResult:
    """Resume a run from its newest checkpoint, with its saved settings. On a CPU the result is as if it had never stopped.

    data: where its data is now, with the same content; None: where it was.
    command_started: as in train; --minutes counts on from the time that the checkpoint states.
    Raises DataError: no such run, no readable checkpoint, or the data has changed. ConfigError: the run has finished, or
    needs hardware that this machine does not have. Otherwise as train.
    """
    reporter, started = reporter or SilentReporter(), command_started or time.perf_counter()
    run = find_run(name, command)
    config = run.config(default)
    if data is not None:
        config = replace(config, data=replace(config.data, path=str(data)))
    setup = training_setup(config)
    run.check_data_folder(config.data.path)
    resumable = has_checkpoint(run.checkpoint_dir)
    with explain_oom(config.train, config.data):
        task = open_task(config, setup, reporter, resumable)
        check_batch(task)
        check_data_unchanged(run, task)
        if data is not None:
            run.update_info(**run.write_config(config))
        if not resumable:
            reporter.note(f"{run.path} was stopped before its first checkpoint: it starts again")
            write_run_info(run, task, setup, reporter)
        with catch_signals() as stop:
            trainer = Trainer(task, run, setup, reporter, stop, command_started=started)
            if resumable:
                trainer.restore()
            else:
                trainer.start()
            return trainer.fit()


def training_setup(config: TrainingConfig) -> DeviceSetup:
    """Choose device and precision. Raises ConfigError also if the processes cannot share a batch evenly or compile fails."""
    train = config.train
    if train.batch % world_size():
        raise ConfigError(
            f"--batch {train.batch} is split over {world_size()} processes: use a multiple of {world_size()}"
        )
    # in train-adv the victims run in fp32, so that fp16 is fine there
    attacks_batches = not isinstance(config, TrainAdvConfig) and config.adversarial_training.adv_train != "none"
    setup = device_setup(train.device, train.precision, auto_fp16=not attacks_batches)
    # all processes use one precision: their gradients are added up, and only fp16 scales them
    setup = replace(setup, precision=min(all_gather_object(setup.precision), key=PRECISIONS.index))
    if train.compile:
        with explain_compile_error():
            torch.compile(lambda numbers: numbers + 1)(torch.ones(2, device=setup.device))
    return setup


def check_batch(task: TrainingTask) -> None:
    """Raise ConfigError if the batches are too small for the model, as check_batch_shape does."""
    config = task.config
    if isinstance(config, TrainClsConfig) and config.model.freeze_encoder:
        return  # its head trains on the encoder's features
    check_batch_shape(task.model, config.data, config.train.batch, len(task.splits.train.images))


def write_run_info(run: RunFolder, task: TrainingTask, setup: DeviceSetup, reporter: Reporter) -> None:
    """Write data, model size and device to run.json and the splits to split.json; report a summary."""
    splits, counts, train = task.splits, task.parameter_counts, task.config.train
    data = {
        "path": str(splits.source.root.absolute()),
        "fingerprint": splits.fingerprint,
        "train": len(splits.train.images),
        "val": len(splits.val.images),
    }
    run.update_info(parameters=counts, data=data, device=device_name(setup.device), precision=setup.precision)
    run.write_json("split.json", {"train": splits.train.images.ids, "val": splits.val.images.ids})
    if splits.num_shared_images:
        reporter.note(f"{splits.num_shared_images} images are in both splits: the validation scores are optimistic")
    others = ", ".join(f"{count / 1e6:.2f} M {label}" for label, count in counts.items() if label != "model")
    reporter.note(f"run {run.path}: {data['train']} training images, {data['val']} validation images")
    reporter.note(
        f"{counts['model'] / 1e6:.2f} M parameters{f' ({others})' if others else ''}; {device_name(setup.device)}, "
        f"{setup.precision}"
    )
    if train.minutes:
        reporter.note("--minutes ties the schedule to the clock: this run cannot be repeated bit for bit")


def check_data_unchanged(run: RunFolder, task: TrainingTask) -> None:
    """Raise DataError if images, masks or lists differ from those that the run started with."""
    recorded = run.info().get("data", {}).get("fingerprint")
    if recorded not in (task.splits.fingerprint, None):  # None: the run was stopped before it was recorded
        raise DataError(
            f"{task.splits.source.root} has changed since {run.path} was started: restore it, or start a new run"
        )
