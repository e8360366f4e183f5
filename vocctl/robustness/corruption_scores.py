"""Score a run on corrupted images: one cell, a corruption at a severity, after the other."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from vocctl.data.corruptions.table import corrupt_image, corrupt_mask
from vocctl.data.source import Source
from vocctl.data.splits import LabeledSplit
from vocctl.distributed import all_gather_dict, rank, world_size
from vocctl.robustness.outcomes import GroundTruth, Predictions
from vocctl.robustness.victims import Victim
from vocctl.runs.corruptions import Cell, CorruptionRecord, Scores

CHUNK = 64  # images that are in memory at once
THREADS = min(os.cpu_count() or 1, 8)  # numpy and OpenCV release the interpreter lock
OnProgress = Callable[[int, int], None]  # images scored, of all images of all missing cells


@dataclass(frozen=True)
class CorruptionBenchmark:
    """A run and the images to corrupt: those of the split with these indices."""

    victim: Victim
    source: Source
    split: LabeledSplit
    indices: np.ndarray
    seed: int

    def score(self, cell: Cell | None, on_image: Callable[[int], None]) -> Scores:
        """Scores on the images of one cell; None: on the clean images. on_image: called with the number of images done."""
        parts: list[Predictions] = []
        ids: list[str] = []
        labels: list[np.ndarray] = []
        for start in range(0, len(self.indices), CHUNK):
            truth = self.read(self.indices[start : start + CHUNK], cell)

            def on_predicted(done: int, _: int, before: int = start) -> None:
                on_image(before + done * world_size())

            parts.append(self.victim.predict(truth.images, truth, on_predicted).without_label_maps())
            ids += truth.ids
            labels += truth.labels
        return type(parts[0]).concat(parts).scores(GroundTruth(tuple(ids), (), labels))

    def read(self, indices: np.ndarray, cell: Cell | None) -> GroundTruth:
        """The images of these indices, corrupted, with their labels. Processes of a distributed run divide the work."""
        ids = tuple(self.split.images.ids[index] for index in indices)
        own = range(rank(), len(ids), world_size())
        with ThreadPoolExecutor(THREADS) as pool:
            local = dict(zip(own, pool.map(lambda number: self._image(ids[number], cell), own), strict=True))
        images = all_gather_dict(local)
        labels: Sequence[np.ndarray] = self.victim.read_labels(self.source, self.split, indices)
        if cell is not None:
            labels = self.victim.corrupt_labels(
                labels, lambda mask, number: corrupt_mask(mask, *cell, image_id=ids[number], seed=self.seed)
            )
        return GroundTruth(ids, [images[number] for number in range(len(ids))], labels)

    def _image(self, image_id: str, cell: Cell | None) -> np.ndarray:
        image = self.source.image(image_id)
        return image if cell is None else corrupt_image(image, *cell, image_id=image_id, seed=self.seed)


def score_missing_cells(
    bench: CorruptionBenchmark, record: CorruptionRecord, on_progress: OnProgress | None = None
) -> Iterator[CorruptionRecord]:
    """Yield the record with one more cell after each that is scored: the clean images first, then the missing cells."""
    cells: list[Cell | None] = [*([] if record.clean else [None]), *record.missing_cells]
    total = len(cells) * len(bench.indices)
    for number, cell in enumerate(cells):

        def on_image(done: int, before: int = number * len(bench.indices)) -> None:
            if on_progress:
                on_progress(min(before + done, total), total)

        scores = bench.score(cell, on_image)
        changed = {"clean": scores} if cell is None else {"cells": record.cells | {cell: scores}}
        record = replace(record, **changed)
        yield record
