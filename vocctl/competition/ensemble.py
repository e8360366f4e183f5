"""The runs of one subtask that predict together: their common validation images and their mean probabilities.

A single run is an ensemble of one. Each run gets the images at its own input size.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from vocctl.competition.test_set import TestSet
from vocctl.config import TrainAdvConfig, TrainClsConfig, TrainSegConfig
from vocctl.data.cache import CachedSplit
from vocctl.data.cache_build import cached_split
from vocctl.data.source import Source
from vocctl.data.splits import LabeledSplit
from vocctl.errors import DataError
from vocctl.inference.ensemble import EnsembleMember, ensemble_probs, mean_probs
from vocctl.inference.eval_split import eval_split
from vocctl.inference.load import classifier_probs, load_segmenter
from vocctl.runs.folder import RunFolder
from vocctl.runs.kinds import kind_of

# (verb, unit) -> a function to call with (done, total); total None: unknown
NewCounter = Callable[[str, str], Callable[[int, int | None], None]]


@dataclass(frozen=True, kw_only=True)
class EnsembleSpec:
    """Which runs predict, and how."""

    runs: tuple[RunFolder, ...]
    checkpoint: str  # best or final
    tta: str  # none, flip or ms
    device: str | None  # None: each run's own


def run_config(run: RunFolder) -> TrainClsConfig | TrainSegConfig:
    """Read the settings that a run was trained with. Raises DataError: neither a classifier nor a segmenter."""
    config = run.config(kind_of(run).defaults)
    if isinstance(config, TrainAdvConfig):
        raise DataError(f"{run.path} is a run of {run.task}: expected a classifier or a segmenter")
    return config


def common_validation_splits(runs: Sequence[RunFolder]) -> tuple[Source, list[LabeledSplit]]:
    """Open the images that all runs validated on and none was trained on.

    Returns the data set, and per run these images at its input size, in the first run's order.
    Raises DataError: runs of several data sets, or no such image.
    """
    sources, splits = [], []
    for run in runs:
        source, _, split = eval_split(run, run_config(run).data, None, None)
        sources.append(source)
        splits.append(split)
    if len({source.root.resolve() for source in sources}) > 1:
        roots = ", ".join(dict.fromkeys(str(source.root) for source in sources))
        raise DataError(f"the runs of one ensemble were validated on several data sets ({roots}): use runs of one")
    train_ids = {image_id for run in runs for image_id in run.split_ids("train")}
    common_ids = set.intersection(*(set(split.images.ids) for split in splits)) - train_ids
    if not common_ids:
        paths = ", ".join(str(run.path) for run in runs)
        raise DataError(f"{paths} have no common validation images: use runs that were validated on the same images")
    order = [image_id for image_id in splits[0].images.ids if image_id in common_ids]
    return sources[0], [select_images(split, order) for split in splits]


def select_images(split: LabeledSplit, ids: Sequence[str]) -> LabeledSplit:
    """Reduce a split to the images with these ids, in their order."""
    index_of = {image_id: index for index, image_id in enumerate(split.images.ids)}
    return split.take(np.array([index_of[image_id] for image_id in ids]))


def cached_test_images(runs: Sequence[RunFolder], test_set: TestSet, new_counter: NewCounter) -> list[CachedSplit]:
    """Return, per run, the test images at its input size."""
    images = []
    for run in runs:
        data = run_config(run).data
        folder = Path(data.cache_dir) if data.cache_dir else None
        on_image = new_counter("decoding", "images")
        images.append(cached_split(test_set.source, test_set.split, data.size, folder, on_image))
    return images


def mean_class_probs(classifiers: EnsembleSpec, images: Sequence[CachedSplit], new_counter: NewCounter) -> np.ndarray:
    """Return the classes' mean probabilities over the runs, (N, 20) float64.

    images: per run, the same images in the same order.
    """
    probs = []
    for run, run_images in zip(classifiers.runs, images, strict=True):
        run_probs = classifier_probs(
            run,
            run_images,
            checkpoint=classifiers.checkpoint,
            tta=classifiers.tta,
            device=classifiers.device,
            on_image=new_counter("classifying", "images"),
        )
        probs.append(run_probs.astype(np.float64))
    return mean_probs(probs)


def mean_mask_probs(
    segmenters: EnsembleSpec, images: Sequence[CachedSplit], new_counter: NewCounter
) -> Iterator[tuple[int, Tensor]]:
    """Yield (image index, mean probabilities (21, H, W) float32 at the original size) for each image, in order."""
    members = []
    for run, run_images in zip(segmenters.runs, images, strict=True):
        model, _, setup = load_segmenter(run, segmenters.checkpoint, segmenters.device)
        members.append(EnsembleMember(model, run_images, setup.device, setup.precision))
    yield from ensemble_probs(members, tta=segmenters.tta, on_image=new_counter("segmenting", "images"))
