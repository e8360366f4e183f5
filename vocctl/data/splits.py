"""The images that a run is trained on and those that it is validated on, with their labels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocctl.config import DataConfig
from vocctl.data.cache import CachedSplit, fingerprint
from vocctl.data.cache_build import OnImage, cached_split
from vocctl.data.source import Source, open_dataset
from vocctl.data.stratify import stratified_parts
from vocctl.distributed import world_size
from vocctl.errors import ConfigError, DataError
from vocctl.labels import classes_in_mask

OnCount = Callable[[str, int, int], None]  # called with (what is being counted, done, total)


@dataclass(frozen=True)
class SegSplit:
    """Images with masks, for segmentation. The masks are in images."""

    images: CachedSplit

    @property
    def targets(self) -> np.ndarray:
        """(N, 20) uint8: 1 if the mask at its original size contains the class. Computed from all masks on each access."""
        indices = range(len(self.images))
        return np.stack([classes_in_mask(self.images.original_mask(index)) for index in indices]).astype(np.uint8)

    @property
    def content_hashes(self) -> tuple[bytes, ...]:
        """The content hashes of the images and masks."""
        return self.images.content_hashes

    def take(self, indices: np.ndarray) -> "SegSplit":
        """The images with these indices, in this order."""
        return SegSplit(self.images.take(indices.tolist()))


@dataclass(frozen=True)
class ClsSplit:
    """Images with class labels, for classification. images has no masks."""

    images: CachedSplit
    targets: np.ndarray  # (N, 20) uint8: 1 present, 0 absent, IGNORE not scored

    @property
    def content_hashes(self) -> tuple[bytes, ...]:
        """The content hashes of the images, and the bytes of the targets, which are not in the images' files."""
        return (*self.images.content_hashes, self.targets.tobytes())

    def take(self, indices: np.ndarray) -> "ClsSplit":
        """The images with these indices, in this order."""
        return ClsSplit(self.images.take(indices.tolist()), self.targets[indices])


LabeledSplit = SegSplit | ClsSplit


@dataclass(frozen=True)
class Splits:
    """What a run is trained and validated on: two splits of the same type."""

    source: Source
    train: LabeledSplit
    val: LabeledSplit
    fingerprint: str  # of images, masks and targets, in order

    @property
    def num_shared_images(self) -> int:
        """Number of images in both splits."""
        return len(set(self.train.images.ids) & set(self.val.images.ids))


def _no_count(what: str, done: int, total: int) -> None:
    """For callers that show no progress."""


def open_seg_splits(config: DataConfig, on_count: OnCount = _no_count) -> Splits:
    """Open and decode the training and validation images for segmentation.

    Raises DataError and RunError as cached_split does; ConfigError: images that cannot be split in that way, or fewer
    training images than processes.
    """
    source = open_dataset(Path(config.path))
    train = open_seg_split(source, config.train_split, config, on_count)
    if config.holds_out:
        return _splits(source, *hold_out(train, config))
    return _splits(source, train, open_seg_split(source, config.val_split, config, on_count))


def open_cls_splits(config: DataConfig, on_count: OnCount = _no_count) -> Splits:
    """Open and decode the images for classification. Raises as open_seg_splits does."""
    source = open_dataset(Path(config.path))
    train = open_cls_split(source, config.train_split, config, on_count)
    if config.holds_out:
        return _splits(source, *hold_out(train, config))
    return _splits(source, train, open_cls_split(source, config.val_split, config, on_count))


def open_seg_split(source: Source, split: str, config: DataConfig, on_count: OnCount = _no_count) -> SegSplit:
    """Open and decode one split for segmentation. Raises DataError: its images have no masks; and as cached_split does."""
    images = cached_split(source, split, config.size, _cache_dir(config), _decoding(split, on_count))
    if not images.has_masks:
        raise DataError(f"{source.root}: split {split} has no masks: name one that has")
    return SegSplit(images)


def open_cls_split(source: Source, split: str, config: DataConfig, on_count: OnCount = _no_count) -> ClsSplit:
    """Open and decode one split for classification. Raises DataError: it has no class labels; and as cached_split does."""
    targets = np.stack(list(source.labels(split).values()))
    images = cached_split(
        source, split, config.size, _cache_dir(config), _decoding(split, on_count), for_classification=True
    )
    return ClsSplit(images, targets)


def _cache_dir(config: DataConfig) -> Path | None:
    return Path(config.cache_dir) if config.cache_dir else None


def _decoding(split: str, on_count: OnCount) -> OnImage:
    return lambda done, total: on_count(f"decoding {split}", done, total)


def _splits(source: Source, train: LabeledSplit, val: LabeledSplit) -> Splits:
    if len(train.images) < world_size():
        raise ConfigError(
            f"{len(train.images)} training images cannot be divided among {world_size()} processes: start fewer"
        )
    return Splits(source, train, val, fingerprint(train.content_hashes + val.content_hashes))


def hold_out(split: LabeledSplit, config: DataConfig) -> tuple[LabeledSplit, LabeledSplit]:
    """Divide a split into training and validation images with the classes in proportion. The run's seed has no influence.

    Raises ConfigError: fewer images than folds; DataError: a part without images.
    """
    num_images = len(split.images)
    if config.folds > num_images:
        raise ConfigError(f"{num_images} images cannot be divided into {config.folds} folds: lower --folds")
    fractions = (1 / config.folds,) * config.folds if config.folds else (config.val, 1 - config.val)
    parts = stratified_parts(split.targets, fractions, np.random.default_rng(0))
    validates = parts == config.fold
    if validates.all() or not validates.any():
        raise DataError(
            f"the validation split would have {int(validates.sum())} of {num_images} images; it and the training split need "
            "at least one each: change --val or --folds"
        )
    return split.take(np.flatnonzero(~validates)), split.take(np.flatnonzero(validates))
