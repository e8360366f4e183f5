"""Figures of scores on corrupted images: the kind corruptions, and the picture of one image under all corruptions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vocctl.data.corruptions.table import corrupt_image
from vocctl.metrics.table import METRICS
from vocctl.plots.corruptions import draw_corruption_curves, draw_image_grid
from vocctl.reporting.options import NothingToPlot, PlotOptions
from vocctl.runs.corruptions import CorruptionRecord, corruption_records
from vocctl.runs.records import RunRecord


def corruptions(runs: Sequence[RunRecord], options: PlotOptions) -> list[Path]:
    """One figure per folder of RUN/corruptions/: the score of each corruption by severity."""
    paths = []
    for run in runs:
        for record in corruption_records(run.folder.path):
            paths.append(draw_curves(run.name, record, options.path(run, f"corruptions-{record.folder.name}")))
    if not paths:
        path = runs[0].folder.path
        raise NothingToPlot(
            f"{path} has no scores on corrupted images: run `vocctl eval {path} --corruption all` first"
        )
    return paths


def draw_curves(name: str, record: CorruptionRecord, path: Path) -> Path:
    """The scores of one folder of RUN/corruptions/. name: the run's, for the title."""
    lines = {
        category: {kind: [record.score(kind, severity) for severity in record.severities] for kind in kinds}
        for category, kinds in record.categories.items()
    }
    title = f"{name} on corrupted images: {record.data} {record.split}, {record.images} images"
    score = METRICS[record.metric].title
    return draw_corruption_curves(lines, record.severities, path, clean=record.clean_score, score=score, title=title)


def draw_corrupted_image(image: np.ndarray, image_id: str, record: CorruptionRecord, path: Path) -> Path:
    """One image, clean and under each corruption at the middle one of the record's severities. image: (H, W, 3) uint8."""
    severity = record.severities[len(record.severities) // 2]
    images = {"clean": image} | {
        kind: corrupt_image(image, kind, severity, image_id=image_id, seed=record.seed) for kind in record.kinds
    }
    return draw_image_grid(images, path, title=f"{image_id}, severity {severity}")
