"""The images that a run is trained on and those that it is validated on, with their labels."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocctl.config import DataConfig
from vocctl.config.data import MAX_CHOSEN_SIZE
from vocctl.data.cache import CachedSplit, fingerprint
from vocctl.data.cache_build import OnImage, cached_split
from vocctl.data.list_audit import NO_CLASS, ONLY_VOID
from vocctl.data.source import Source, open_dataset
from vocctl.data.split_files import format_ids, is_one_color, is_test_split
from vocctl.data.stratify import stratified_parts
from vocctl.distributed import world_size
from vocctl.errors import ConfigError, DataError
from vocctl.labels import IGNORE, classes_in_mask

MEASURED_IMAGES = 100  # evenly spaced, whose sides are compared with it
ENLARGED = 1.3

OnProgress = Callable[[str, int, int], None]  # called with (stage, done, total)


@dataclass(frozen=True)
class SegSplit:
    """Images with masks, for segmentation. `images`, a CachedSplit, holds both."""

    images: CachedSplit

    @property
    def targets(self) -> np.ndarray:
        """Class presence for stratification, not the masks: (N, 20) uint8, 1 if the mask contains the class.

        Computed on each access from all masks, at their original size.
        """
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
    """Images with class labels, for classification. `images`, a CachedSplit, has no masks."""

    images: CachedSplit
    targets: np.ndarray  # (N, 20) uint8: 1 present, 0 absent, IGNORE not scored

    @property
    def content_hashes(self) -> tuple[bytes, ...]:
        """The content hashes of the images, then the targets as bytes, because the images' hashes do not cover the labels."""
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
        """Number of validation images that are training images, under their own id or another one."""
        train, val = self.train.images, self.val.images
        train_ids, first = set(train.ids), first_copies([train, val])[len(train) :]
        return sum(image_id in train_ids or copy < len(train) for image_id, copy in zip(val.ids, first, strict=True))


def _no_progress(stage: str, done: int, total: int) -> None:
    """For callers that show no progress."""


def open_seg_splits(config: DataConfig, on_progress: OnProgress = _no_progress) -> Splits:
    """Open and decode the training and validation images for segmentation.

    Raises DataError: an image or mask is missing or corrupt, a split has no masks or would have no images. RunError: the
    cache folder is not writable. ConfigError: fewer images than folds, or fewer training images than processes.
    """
    source = open_dataset(Path(config.path))
    train = open_seg_split(source, config.train_split, config, on_progress)
    if config.holds_out:
        parts = hold_out(train, config)
        for name, part in zip(("training", "validation"), parts, strict=True):
            check_masks(part.images, f"{config.train_split}, {name} part", source)
        return _splits(source, *parts)
    return _splits(source, train, open_seg_split(source, config.val_split, config, on_progress))


def open_cls_splits(config: DataConfig, on_progress: OnProgress = _no_progress) -> Splits:
    """Open and decode the images for classification. Raises the errors of open_seg_splits; DataError also: no class labels."""
    source = open_dataset(Path(config.path))
    train = open_cls_split(source, config.train_split, config, on_progress)
    if config.holds_out:
        return _splits(source, *hold_out(train, config))
    return _splits(source, train, open_cls_split(source, config.val_split, config, on_progress))


def chosen_size(source: Source, split: str, *, freezes_encoder: bool) -> int:
    """The input size for --size 0: MAX_CHOSEN_SIZE, or less if most images of the split are smaller, in steps of 32 pixels.

    For a frozen encoder they are enlarged up to ENLARGED times: its feature maps are finer then, which is worth three points
    of mean IoU from 224 to 288 px. An encoder that is trained reaches the same with the images' own size, at less cost
    (docs/recipes.md). Raises DataError as Source does.
    """
    ids = source.ids(split)
    sides = [min(source.image(image_id).shape[:2]) for image_id in ids[:: max(len(ids) // MEASURED_IMAGES, 1)]]
    factor = ENLARGED if freezes_encoder else 1.0
    return min(max(int(factor * np.median(sides)) // 32 * 32, 32), MAX_CHOSEN_SIZE)


def images_with_masks(splits: Splits, config: DataConfig, on_progress: OnProgress = _no_progress) -> CachedSplit | None:
    """The training images of a classification run that have masks: those in the segmentation split of the same name.

    None: there are none. Raises DataError as open_seg_split does.
    """
    if config.train_split not in splits.source.splits():
        return None
    images = open_seg_split(splits.source, config.train_split, config, on_progress).images
    trained_on = set(splits.train.images.ids)  # with --val or --folds not all of the split
    indices = [index for index, image_id in enumerate(images.ids) if image_id in trained_on]
    return images.take(indices) if indices else None


def first_copies(splits: Sequence[CachedSplit]) -> np.ndarray:
    """(N,) for each image of the splits, in order, the index of the first image with the same pixels, often its own."""
    images = [(split, index) for split in splits for index in range(len(split))]
    same_samples: dict[tuple, list[int]] = {}  # size and some pixels -> the first images of each content
    first = np.arange(len(images))
    for number, (split, index) in enumerate(images):
        pixels = split.image(index)
        if is_one_color(pixels):  # says nothing about being a copy
            continue
        key = (split.original_sizes[index], pixels.shape, pixels[::16, ::16].tobytes())
        earlier = same_samples.setdefault(key, [])
        for other in earlier:
            other_split, other_index = images[other]
            if np.array_equal(pixels, other_split.image(other_index)):
                first[number] = other
                break
        else:
            earlier.append(number)
    return first


def check_masks(images: CachedSplit, name: str, source: Source) -> None:
    """Raise DataError if no mask of a split holds a class: nothing can be learned from it, and its scores mean nothing.

    name: of the split, for the message. As a rule one mask is read.
    """
    only_void = True
    for index in range(len(images)):
        mask = images.original_mask(index)
        if classes_in_mask(mask).any():
            return
        only_void = only_void and bool((mask == IGNORE).all())
    files = format_ids([os.path.relpath(source.mask_path(image_id) or "", source.root) for image_id in images.ids])
    content = ONLY_VOID if only_void else NO_CLASS
    raise DataError(f"{source.root}, split {name}: {content} ({files}); fix the masks, or choose another split")


def open_seg_split(source: Source, split: str, config: DataConfig, on_progress: OnProgress = _no_progress) -> SegSplit:
    """Open and decode one split for segmentation.

    Raises DataError: its images have no masks, or no mask holds a class; and as cached_split does.
    """
    paths = map(source.mask_path, source.ids(split))
    if not any(path is not None and path.is_file() for path in paths):  # as a rule the first one is there
        hint = "`vocctl predict` shows what a run predicts for it; to score, " if is_test_split(split) else ""
        raise DataError(
            f"split {split} of {source.root} has no masks, so no ground truth: {hint}choose a split with masks"
        )
    images = cached_split(source, split, config.size, _cache_dir(config), _decoding(split, on_progress))
    labeled = SegSplit(images)
    check_masks(labeled.images, split, source)
    return labeled


def open_cls_split(source: Source, split: str, config: DataConfig, on_progress: OnProgress = _no_progress) -> ClsSplit:
    """Open and decode one split for classification. Raises DataError: it has no class labels; and as cached_split does."""
    targets = np.stack(list(source.labels(split).values()))
    images = cached_split(
        source, split, config.size, _cache_dir(config), _decoding(split, on_progress), for_classification=True
    )
    return ClsSplit(images, targets)


def _cache_dir(config: DataConfig) -> Path | None:
    return Path(config.cache_dir) if config.cache_dir else None


def _decoding(split: str, on_progress: OnProgress) -> OnImage:
    return lambda done, total: on_progress(f"decoding {split}", done, total)


def _splits(source: Source, train: LabeledSplit, val: LabeledSplit) -> Splits:
    if len(train.images) < world_size():
        raise ConfigError(
            f"{len(train.images)} training images cannot be divided among {world_size()} processes: start fewer processes"
        )
    return Splits(source, train, val, fingerprint(train.content_hashes + val.content_hashes))


def hold_out(split: LabeledSplit, config: DataConfig) -> tuple[LabeledSplit, LabeledSplit]:
    """Split into training and validation images, stratified by class.

    The seed is fixed, so every run gets the same split.
    Raises ConfigError: fewer images than folds. DataError: the training or the validation images would be none.
    """
    num_images = len(split.images)
    if config.folds > num_images:
        raise ConfigError(f"{num_images} images cannot be divided into {config.folds} folds: lower --folds")
    fractions = (1 / config.folds,) * config.folds if config.folds else (config.val, 1 - config.val)
    parts = stratified_parts(split.targets, fractions, np.random.default_rng(0))
    parts = parts[
        first_copies([split.images])
    ]  # copies of an image stay together, or it would be trained on and scored
    in_val = parts == config.fold  # without --folds, fold is 0, and part 0 has the fraction --val
    if in_val.all() or not in_val.any():
        raise DataError(
            f"the validation split would have {int(in_val.sum())} of {num_images} images; it and the training split need "
            "at least one each: change --val or --folds"
        )
    return split.take(np.flatnonzero(~in_val)), split.take(np.flatnonzero(in_val))
