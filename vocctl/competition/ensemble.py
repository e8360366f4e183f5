"""The runs of a submission: the images that all of a kind held out, and what they predict together.

Runs of one kind are an ensemble, one alone is the simplest: probabilities are averaged, each run seeing the images at the
size that it was trained for.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from vocctl.competition.leakage import config_of
from vocctl.competition.test_set import TestSet
from vocctl.config import DataConfig
from vocctl.data.cache import CachedSplit, cached_split
from vocctl.data.source import Source
from vocctl.data.splits import LabeledSplit
from vocctl.errors import DataError
from vocctl.inference.ensemble import EnsembleMember, ensemble_probs
from vocctl.inference.eval_split import eval_split
from vocctl.inference.load import classifier_probs, load_segmenter
from vocctl.labels import CLASSES
from vocctl.runs.folder import RunFolder

Steps = Callable[[str, str], Callable[[int, int | None], None]]  # (verb, unit) to what counts


@dataclass(frozen=True)
class EnsembleSpec:
    cls: tuple[RunFolder, ...]
    seg: tuple[RunFolder, ...]
    tta: str
    device: str | None
    cls_checkpoint: str = "best"
    seg_checkpoint: str = "best"


def common_validation_splits(runs: Sequence[RunFolder]) -> tuple[Source, list[LabeledSplit]]:
    """The data set, and for each run the images that all of them validated on, at its own size, in one order."""
    sources, parts = [], []
    for run in runs:
        source, _, part = eval_split(run, config_of(run).data, None, None)
        sources.append(source)
        parts.append(part)
    if len({source.root.resolve() for source in sources}) > 1:
        roots = ", ".join(dict.fromkeys(str(source.root) for source in sources))
        raise DataError(f"the runs of one ensemble were validated on several data sets ({roots}): take runs of one")
    trained = {image_id for run in runs for image_id in run.split_ids("train")}
    common = set.intersection(*(set(part.images.ids) for part in parts)) - trained
    if not common:
        named = ", ".join(str(run.path) for run in runs)
        raise DataError(f"no image is held out from all of {named}: take runs that were validated on the same images")
    return sources[0], restrict_to(parts, common)


def restrict_to(parts: Sequence[LabeledSplit], ids: set[str]) -> list[LabeledSplit]:
    """The parts cut down to these ids, all in the first one's order."""
    order = [image_id for image_id in parts[0].images.ids if image_id in ids]
    cut = []
    for part in parts:
        place = {image_id: index for index, image_id in enumerate(part.images.ids)}
        cut.append(part.take(np.array([place[image_id] for image_id in order])))
    return cut


def cached_test_set(test_set: TestSet, data: DataConfig, steps: Steps) -> CachedSplit:
    folder = Path(data.cache_dir) if data.cache_dir else None
    return cached_split(test_set.source, test_set.split, data.size, folder, steps("decoding", "images"))


def mean_classifier_probs(runs: EnsembleSpec, images: Sequence[CachedSplit], steps: Steps) -> np.ndarray:
    """(N, 20): the mean over the runs."""
    total = np.zeros((len(images[0]), len(CLASSES)))
    for run, part in zip(runs.cls, images, strict=True):
        on_image = steps("classifying", "images")
        total += classifier_probs(
            run, part, checkpoint=runs.cls_checkpoint, tta=runs.tta, device=runs.device, on_image=on_image
        ) / len(runs.cls)
    return total


def mean_mask_probs(
    runs: EnsembleSpec, images: Sequence[CachedSplit], on_image: Callable[[int, int], None]
) -> Iterator[tuple[int, Tensor]]:
    members = []
    for run, part in zip(runs.seg, images, strict=True):
        model, _, here = load_segmenter(run, runs.seg_checkpoint, runs.device)
        members.append(EnsembleMember(model, part, here.device, here.precision))
    yield from ensemble_probs(members, tta=runs.tta, on_image=on_image)
