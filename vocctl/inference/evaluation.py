"""What every evaluation does alike: which images are scored, and a folder that is whole or not there."""

import shutil
from pathlib import Path

import numpy as np

from vocctl.config import DataConfig
from vocctl.data.source import Source
from vocctl.data.splits import LabeledSplit, open_source, open_split
from vocctl.distributed import barrier, is_main_process
from vocctl.errors import ConfigError, DataError, RunError
from vocctl.runs.folder import RunFolder

CHECKPOINTS = ("best", "final")
TTA = ("none", "flip", "ms")
HELD_OUT = "held-out"  # what the images that --val or --folds kept from training are filed under


def check_eval_options(checkpoint: str, tta: str) -> None:
    if checkpoint not in CHECKPOINTS:
        raise ConfigError(f"--checkpoint is {' or '.join(CHECKPOINTS)}, got {checkpoint!r}")
    if tta not in TTA:
        raise ConfigError(f"--tta is one of {', '.join(TTA)}, got {tta!r}")


def eval_split(
    run: RunFolder, config: DataConfig, data: Path | None, split: str | None
) -> tuple[Source, str, LabeledSplit]:
    """The data set, the name of the split, and its images: what the run validated on where neither is given.

    Raises DataError: no such data or split, or one without a truth.
    """
    source = open_source(data or Path(config.path), run.task)
    if data is None and split is None and config.holds_out:
        whole = open_split(source, config.train_split, config)
        place = {image_id: index for index, image_id in enumerate(whole.images.ids)}
        ids = run.split_ids("val")
        if gone := [image_id for image_id in ids if image_id not in place]:
            raise DataError(f"{source.root} lacks {gone[0]}, which {run.path} held out: restore the data set")
        return source, HELD_OUT, whole.take(np.array([place[image_id] for image_id in ids]))
    split = split or config.val_split
    return source, split, open_split(source, split, config)


def new_partial_folder(folder: Path, inside: str = "") -> Path:
    """An empty <folder>.part for the first rank to write into; inside: a folder in it. Raises RunError: it can't be made."""
    part = folder.with_name(folder.name + ".part")
    if not is_main_process():
        return part
    try:
        shutil.rmtree(part, ignore_errors=True)
        (part / inside).mkdir(parents=True)
    except OSError as error:
        raise RunError(f"{part} can't be made: {error.strerror}; free space or mend the folder's rights") from error
    return part


def publish_folder(part: Path, folder: Path) -> None:
    """The evaluation that stood there before goes. Then all ranks can read it. Raises RunError: it can't be replaced."""
    if is_main_process():
        try:
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
        except OSError as error:
            raise RunError(f"{folder} can't be replaced: {error.strerror}; mend its rights or move it away") from error
    barrier()
