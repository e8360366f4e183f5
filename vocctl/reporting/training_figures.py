"""Figures of how runs were trained and how their scores compare: the kinds curves and compare."""

from collections.abc import Sequence
from math import isnan
from pathlib import Path

from vocctl.metrics.table import METRICS
from vocctl.plots.compare import ComparedGroup, draw_comparison
from vocctl.plots.curves import draw_curves, draw_overlaid_curves
from vocctl.reporting.class_scores import paired_difference
from vocctl.reporting.config_diff import ConfigGroup, group_by_config
from vocctl.reporting.options import (
    NothingToPlot,
    PlotOptions,
    evaluation_of,
    evaluations_on_same_images,
    group_by_task,
)
from vocctl.runs.records import RunRecord

CURVE_SCORES = (
    "mean_iou", "mean_dice", "pixel_accuracy", "map_11_point", "map_all_points", "map_sklearn", "sample_f1", "drop"
)  # fmt: skip
COMPARE_NOTE = "Dot: one run. Bar: mean over the runs of a config."
DIFFERENCE_NOTE = (
    "\nDiamond: difference of the means from the first config, with the 95 % interval of a paired bootstrap over the images. "
    "The interval does not include the variation between seeds."
)


def curves(runs: Sequence[RunRecord], options: PlotOptions) -> list[Path]:
    """One run: its losses, scores and learning rate. Several runs of a task: overlaid, with a color per config."""
    return [
        _curves_of_run(group[0], options) if len(group) == 1 else _overlaid_curves(group, options)
        for group in group_by_task(runs)
    ]


def _curves_of_run(run: RunRecord, options: PlotOptions) -> Path:
    path, best_epoch = options.path(run, "curves"), run.best["epoch"]
    scores = {key: METRICS[key].title for key in CURVE_SCORES} | {"sample_f1": "F1 per image at threshold 0.5"}
    return draw_curves(run.records, path, title=run.name, scores=scores, best_epoch=best_epoch)


def _overlaid_curves(runs: Sequence[RunRecord], options: PlotOptions) -> Path:
    """runs: of one task."""
    records = {group.label or "all": [run.records for run in group.runs] for group in group_by_config(runs)}
    metric = runs[0].kind.main_metric
    grouping = "by the settings that differ" if len(records) > 1 else "same config, different seeds"
    title = f"{len(runs)} runs of {runs[0].kind.task}, {grouping}"
    return draw_overlaid_curves(
        records, options.shared_path(runs, "curves"), title=title, score=(metric.key, metric.title)
    )


def compare(runs: Sequence[RunRecord], options: PlotOptions) -> list[Path]:
    """One figure per task that has runs of at least two configs."""
    groups_of_task = [group_by_config(same_task) for same_task in group_by_task(runs)]
    paths = [_compare(groups, options) for groups in groups_of_task if len(groups) > 1]
    if not paths:
        raise NothingToPlot("compare needs runs of one task whose configs differ in more than the seed: name several")
    return paths


def _compare(groups: Sequence[ConfigGroup], options: PlotOptions) -> Path:
    """groups: of one task."""
    runs = [run for group in groups for run in group.runs]
    evaluations = evaluations_on_same_images(runs)
    name, images = evaluations[0].info.name, evaluations[0].info.num_images
    if any(isnan(evaluation.main_score) for evaluation in evaluations):
        raise NothingToPlot(f"{name} has no image with a class, so the mean over the classes is undefined")
    compared = [_compared_group(group, baseline=groups[0]) for group in groups]
    note = COMPARE_NOTE + (DIFFERENCE_NOTE if any(group.difference for group in compared) else "")
    title = f"{runs[0].kind.task}: {len(runs)} runs on {name}, {images} images"
    score = runs[0].kind.main_metric.title
    path = options.shared_path(runs, f"compare-{name}")
    return draw_comparison(compared, path, title=title, score=score, note=note)


def _compared_group(group: ConfigGroup, baseline: ConfigGroup) -> ComparedGroup:
    evaluations = [evaluation_of(run) for run in group.runs]
    is_baseline = group is baseline
    return ComparedGroup(
        label=group.label,
        scores=[evaluation.main_score for evaluation in evaluations],
        seeds=[run.settings["seed"] for run in group.runs],
        difference=None if is_baseline else paired_difference(list(map(evaluation_of, baseline.runs)), evaluations),
    )
