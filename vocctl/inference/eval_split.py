"""Which images an evaluation scores."""

from pathlib import Path

import numpy as np
import torch

from vocctl.config import DataConfig
from vocctl.data.source import Source, open_dataset
from vocctl.data.splits import LabeledSplit, open_cls_split, open_seg_split
from vocctl.errors import DataError
from vocctl.runs.folder import RunFolder
from vocctl.seeding import derived_generator

HELD_OUT = "held-out"  # name of the split that --val or --folds kept from training


def eval_split(
    run: RunFolder, config: DataConfig, data: Path | None, split: str | None
) -> tuple[Source, str, LabeledSplit]:
    """Open the images to score: those that the run validated on, or the given data set or split.

    Returns the data set, the name of the split and its images.
    Raises DataError: no such data set or split, or a split without ground truth.
    """
    if data is None:
        run.check_data_folder(config.path)
    source = open_dataset(data or Path(config.path))
    open_split = open_cls_split if run.task == "train-cls" else open_seg_split
    if split is None and config.holds_out and (data is None or _has_images_of(run, source, config)):
        train_split = open_split(source, config.train_split, config)
        index_of = {image_id: index for index, image_id in enumerate(train_split.images.ids)}
        ids = run.split_ids("val")
        if missing := [image_id for image_id in ids if image_id not in index_of]:
            raise DataError(
                f"{source.root} has no image {missing[0]}, which {run.path} validated on: restore the data set"
            )
        return source, HELD_OUT, train_split.take(np.array([index_of[image_id] for image_id in ids]))
    split = split or config.val_split
    return source, split, open_split(source, split, config)


def fixed_subset(num_images: int, count: int, seed: int) -> np.ndarray:
    """Indices of a random subset of a split, sorted: (count,), or of all images if count is 0 or not below their number.

    It depends only on the arguments, so that it is the same for every run.
    """
    if not 0 < count < num_images:
        return np.arange(num_images)
    order = torch.randperm(num_images, generator=derived_generator("subset", seed)).numpy()
    return np.sort(order[:count])


def _has_images_of(run: RunFolder, source: Source, config: DataConfig) -> bool:
    """Whether the run's training split in this data set has all training and validation images of the run."""
    try:
        listed = source.labels(config.train_split) if run.task == "train-cls" else source.ids(config.train_split)
    except DataError:
        return False
    return {*run.split_ids("train"), *run.split_ids("val")} <= set(listed)
