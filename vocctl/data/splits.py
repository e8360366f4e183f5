"""The images that a run trains on and those that it validates on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocctl.config import DataConfig
from vocctl.data.cache import CachedSplit, cached_split, fingerprint
from vocctl.data.multilabel import MultilabelDataset, target_matrix, with_labels
from vocctl.data.source import Source, open_dataset
from vocctl.data.stratify import stratified_parts
from vocctl.distributed import world_size
from vocctl.errors import ConfigError, DataError
from vocctl.labels import IGNORE, NUM_SEG_CLASSES

OnCount = Callable[[str, int, int], None]  # what is done, done, total


@dataclass(frozen=True)
class LabeledSplit:
    """Images of one side. targets: (N, 20) uint8 for classification, None for segmentation, whose masks are in images."""

    images: CachedSplit
    targets: np.ndarray | None

    @property
    def content_hashes(self) -> tuple[bytes, ...]:
        """Of the images, and of the targets where the images' files don't hold them."""
        return self.images.content_hashes + (() if self.targets is None else (self.targets.tobytes(),))

    def take(self, indices: np.ndarray) -> "LabeledSplit":
        return LabeledSplit(self.images.part(indices.tolist()), None if self.targets is None else self.targets[indices])


@dataclass(frozen=True)
class Splits:
    source: Source
    train: LabeledSplit
    val: LabeledSplit
    fingerprint: str  # of images, masks and targets, and of their order

    @property
    def shared(self) -> int:
        """How many images are in both."""
        return len(set(self.train.images.ids) & set(self.val.images.ids))


def open_splits(config: DataConfig, task: str, on_count: OnCount = lambda what, done, total: None) -> Splits:
    """Both sides, decoded. task: train-seg or train-cls. Raises DataError and RunError as cached_split does.

    ConfigError: images that can't be cut so, or fewer to train on than processes.
    """
    source = open_source(Path(config.path), task)
    whole = open_split(source, config.train_split, config, on_count)
    if config.holds_out:
        train, val = _held_out(source, whole, config)
    else:
        train, val = whole, open_split(source, config.val_split, config, on_count)
    if len(train.images) < world_size():
        raise ConfigError(
            f"{len(train.images)} images to train on can't be shared by {world_size()} processes: start fewer"
        )
    return Splits(source, train, val, fingerprint(train.content_hashes + val.content_hashes))


def open_source(root: Path, task: str) -> Source:
    source = open_dataset(root)
    return with_labels(source) if task == "train-cls" else source


def open_split(
    source: Source, split: str, config: DataConfig, on_count: OnCount = lambda what, done, total: None
) -> LabeledSplit:
    """A whole split. Raises DataError where its images have neither masks nor labels."""
    cache = Path(config.cache_dir) if config.cache_dir else None
    images = cached_split(
        source, split, config.size, cache, lambda done, total: on_count(f"decoding {split}", done, total)
    )
    if isinstance(source, MultilabelDataset):
        return LabeledSplit(images, target_matrix(source, split, images.ids))
    if not images.has_masks:
        raise DataError(f"{source.root}: split {split} has no masks, name one that has")
    return LabeledSplit(images, None)


def _held_out(source: Source, whole: LabeledSplit, config: DataConfig) -> tuple[LabeledSplit, LabeledSplit]:
    """Train and validation parts of one split, every class in proportion. The images alone decide, not the run's seed."""
    targets = whole.targets if whole.targets is not None else _classes_in_masks(source, whole.images.ids)
    if config.folds > len(whole.images):
        raise ConfigError(f"{len(whole.images)} images can't be cut into {config.folds} folds: lower --folds")
    shares = (1 / config.folds,) * config.folds if config.folds else (config.val, 1 - config.val)
    parts = stratified_parts(targets, shares, np.random.default_rng(0))
    validates = parts == config.fold
    if validates.all() or not validates.any():
        raise DataError(
            f"{len(parts)} images can't be cut that way: {int(validates.sum())} would validate, mend --val or --folds"
        )
    return whole.take(np.flatnonzero(~validates)), whole.take(np.flatnonzero(validates))


def _classes_in_masks(source: Source, ids: Sequence[str]) -> np.ndarray:
    """(N, 20) uint8: 1 where a mask holds the class, at its own size, so that the parts don't depend on --size."""
    counts = [np.bincount(source.mask(image_id).ravel(), minlength=IGNORE + 1) for image_id in ids]
    return (np.stack(counts)[:, 1:NUM_SEG_CLASSES] > 0).astype(np.uint8)
