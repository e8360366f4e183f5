"""A smoke test: what a training command does, once, with the user's settings on a few of the user's images.

The images are copied into a temporary folder, which is then trained on as any data set: by the command's own run, resume and
evaluation. So what would stop a long run stops this one: settings that do not fit, damaged files, too little memory.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainSegConfig, given
from vocctl.data.cache_build import check_mask_size, split_contents
from vocctl.data.devkit import write_devkit
from vocctl.data.source import Source, open_dataset
from vocctl.data.splits import chosen_size
from vocctl.devices import pick_device
from vocctl.distributed import world_size
from vocctl.errors import ConfigError, DataError, Interrupted
from vocctl.files import disk_errors, merge_folder
from vocctl.robustness.generator_loss import VICTIM_CHECKPOINT
from vocctl.runs.find import open_run
from vocctl.runs.folder import RunFolder
from vocctl.training.probe import evenly_spaced
from vocctl.training.reporter import SilentReporter
from vocctl.training.task import TrainResult

VAL_IMAGES = 4
EPOCHS = 3  # of one step each: before the interruption, after the resumption, and one whose time is measured
RUN_FILES = ("config.toml", "run.json", "split.json", "thresholds.json", f"{VICTIM_CHECKPOINT}.safetensors")

Config = TypeVar("Config", TrainSegConfig, TrainClsConfig, TrainAdvConfig)


@dataclass(frozen=True)
class SmokeResult:
    device: str
    peak_memory: int  # bytes: of the GPU's memory, or of this process
    batch: int  # images of a step
    step_seconds: float
    epoch_seconds: float  # estimated, without validation and without the preparation before the first step
    train_images: int  # of the whole split
    val_seconds: float  # estimated, of a whole validation; nan: the command validates another number of images
    val_images: int


class _StopAfterValidation(SilentReporter):
    """Ends a run after its first validation, as Ctrl-C would."""

    stopped = False

    def epoch(self, record: dict[str, Any]) -> None:
        self.stopped = True
        raise Interrupted("the smoke test resumes it")


def smoke(
    config: Config,
    *,
    run: Callable[..., TrainResult],
    resume: Callable[..., TrainResult],
    evaluate: Callable[[Path, Config], object],
    on_stage: Callable[[str], None],
) -> SmokeResult:
    """Train, validate, save, resume and evaluate, in a temporary folder that is removed.

    run, resume: of the task's module. evaluate: scores the run in a folder, with these settings, on its validation images.
    on_stage: receives what is done next. Raises VocctlError: as the three do; ConfigError in a distributed run.
    """
    if world_size() > 1:
        raise ConfigError("--smoke runs in one process: start it without torchrun")
    with _temporary_folder() as folder:
        on_stage("reading images")
        small, num_train, num_val = _small_config(config, folder)
        reporter = _StopAfterValidation()
        on_stage("training one step, validating, saving")
        try:
            run(small, folder / "run", reporter=reporter)
        except Interrupted:
            if not reporter.stopped:
                raise
        on_stage("resuming")
        resume(str(folder / "run"), reporter=SilentReporter())
        on_stage("evaluating")
        evaluate(folder / "run", small)
        return _result(config, RunFolder(folder / "run").read_metrics()[-1], num_train, num_val)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Yield a new folder, which is removed afterwards. Raises RunError: the disk."""
    with (
        disk_errors(Path(tempfile.gettempdir())),
        tempfile.TemporaryDirectory(prefix="vocctl-smoke-", ignore_cleanup_errors=True) as name,
    ):
        yield Path(name)


def _small_config(config: Config, folder: Path) -> tuple[Config, int, int]:
    """Copy a few images to folder/data; return the settings of a run on them, and the sizes of the whole splits."""
    source, data = open_dataset(Path(config.data.path)), config.data
    with_masks = _needs_masks(config)
    freezes = isinstance(config, TrainSegConfig) and config.model.freeze_encoder
    size = data.size or chosen_size(source, data.train_split, freezes_encoder=freezes)
    train_ids = _usable_ids(source, data.train_split, with_masks)
    val_ids = train_ids if data.holds_out else _usable_ids(source, data.val_split, with_masks)
    count = (
        config.train.batch * config.optim.accumulate + 1
    )  # one more than a step takes, as in a split of many batches
    chosen = [train_ids[index] for index in evenly_spaced(len(train_ids), count)]
    held_out = [image_id for image_id in val_ids if image_id not in chosen] or val_ids
    validated = [held_out[index] for index in evenly_spaced(len(held_out), VAL_IMAGES)]
    val_split = data.train_split if data.holds_out else data.val_split
    for split, original, ids in (("train", data.train_split, chosen), ("val", val_split, validated)):
        labels = None if with_masks else source.labels(original)
        _write_split(source, folder / f"{split}-data", split, ids, labels)
    merge_folder(folder / "val-data", folder / "train-data")
    changes: dict[str, Any] = {
        "path": str(folder / "train-data"), "train_split": "train", "val_split": "val", "val": 0.0, "folds": 0, "fold": 0,
        "size": size, "cache_dir": str(folder / "cache"), "epochs": EPOCHS, "minutes": 0.0, "eval_every": 1, "patience": 0,
    }  # fmt: skip
    if isinstance(config, TrainClsConfig):
        changes["freeze_epochs"] = min(config.optim.freeze_epochs, 1)
    if isinstance(config, TrainAdvConfig):
        changes["target"] = _copy_victims(config, folder)
    num_val = round(len(train_ids) * (data.val or 1 / max(data.folds, 1))) if data.holds_out else len(val_ids)
    return given(config, **changes), len(train_ids) - (num_val if data.holds_out else 0), num_val


def _needs_masks(config: TrainSegConfig | TrainClsConfig | TrainAdvConfig) -> bool:
    """Whether the command trains on masks: a generator does if one of its victims is a segmenter."""
    if isinstance(config, TrainAdvConfig):
        return any(open_run(name).task == "train-seg" for name in config.attack_loss.target)
    return isinstance(config, TrainSegConfig)


def _usable_ids(source: Source, split: str, with_masks: bool) -> list[str]:
    """Ids of a split, of which every file is there; for classification those that show a class, with masks if there are some.

    Raises DataError: a file is missing, or the split has no masks or no labels.
    """
    for files in split_contents(source, split, for_classification=not with_masks):
        for path in (files.image, files.mask):
            if path is not None and not path.is_file():
                raise DataError(f"{path} is missing: `vocctl download --check {source.root}` lists all such files")
    if with_masks:
        ids = source.ids(split)
        if any(source.mask_path(image_id) is None for image_id in ids):
            raise DataError(f"split {split} of {source.root} has no masks: choose a split with masks")
        return ids
    shown = [image_id for image_id, labels in source.labels(split).items() if (labels == 1).any()]
    if not shown:
        raise DataError(f"{source.root}: no image of split {split} shows a class, choose another split")
    masked = set(source.ids(split)) if split in source.splits() else set()
    return [image_id for image_id in shown if image_id in masked] or shown


def _write_split(
    source: Source, root: Path, split: str, ids: Sequence[str], labels: dict[str, np.ndarray] | None
) -> None:
    """Decode the images and masks and write them as a devkit. labels: of a classifier; masks are then optional."""
    images, masks = [source.image(image_id) for image_id in ids], []
    paths = [source.mask_path(image_id) for image_id in ids]
    if labels is None or all(path is not None and path.is_file() for path in paths):
        for image_id, image, path in zip(ids, images, paths, strict=True):
            masks.append(source.mask(image_id))
            if path is not None:
                check_mask_size(masks[-1], path, image, source.image_path(image_id))
    targets = None if labels is None else np.stack([labels[image_id] for image_id in ids])
    write_devkit(root, split, ids, images, masks=masks, targets=targets)


def _copy_victims(config: TrainAdvConfig, folder: Path) -> tuple[str, ...]:
    """Copy the victims' weights and settings, so that nothing is written into their folders. Raises DataError."""
    copies = []
    for number, name in enumerate(config.attack_loss.target):
        victim = open_run(name)
        copies.append(folder / f"victim-{number}" / victim.path.name)
        copies[-1].mkdir(parents=True)
        for file in RUN_FILES:
            if (victim.path / file).is_file():
                shutil.copyfile(victim.path / file, copies[-1] / file)
    return tuple(map(str, copies))


def _result(config: Config, record: dict[str, Any], num_train: int, num_val: int) -> SmokeResult:
    """record: the last line of metrics.jsonl. num_train, num_val: images of the whole splits."""
    batch, speed = config.train.batch, max(record["images_per_second"], 1e-9)
    device = pick_device(config.train.device)
    step_images = min(batch * config.optim.accumulate, num_train)
    return SmokeResult(
        device=str(device),
        peak_memory=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _peak_of_process(),
        batch=step_images,
        step_seconds=step_images / speed,
        epoch_seconds=max(num_train // batch, 1) * min(batch, num_train) / speed,
        train_images=num_train,
        val_seconds=record["val_seconds"] / min(VAL_IMAGES, num_val) * num_val,
        val_images=num_val,
    )


def _peak_of_process() -> int:
    """Largest memory of this process in bytes so far; 0 on Windows, which does not say."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
