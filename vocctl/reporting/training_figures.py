"""Pictures of how runs were trained and how they compare: curves, compare."""

from collections.abc import Sequence
from math import isnan
from pathlib import Path

from vocctl.plots.compare import ComparedGroup, draw_compared
from vocctl.plots.curves import draw_curves, draw_overlaid_curves
from vocctl.reporting.class_scores import class_scores_mean, difference
from vocctl.reporting.config_diff import group_by_config
from vocctl.reporting.options import NothingToPlot, PlotOptions, by_task, evaluated
from vocctl.runs.evaluations import MAIN_SCORE, SCORE_NAMES, RunRecord


def curves(runs: Sequence[RunRecord], wish: PlotOptions) -> list[Path]:
    """One run: its losses, scores and learning rate. Several: laid over each other, a color for each config."""
    drawn = []
    for alike in by_task(runs):
        if len(alike) == 1:
            run = alike[0]
            place, epoch = wish.place(run, "curves"), run.best["epoch"]
            drawn.append(draw_curves(run.records, place, title=run.name, best_epoch=epoch))
            continue
        lines = {group.label or "all": [run.records for run in group.runs] for group in group_by_config(alike)}
        key = MAIN_SCORE[alike[0].task]
        title = f"{len(alike)} runs of {alike[0].task}{_what_is_shared(lines)}"
        place = wish.shared_place(alike, "curves")
        drawn.append(draw_overlaid_curves(lines, place, title=title, score=(SCORE_NAMES[key], key)))
    return drawn


def _what_is_shared(lines: dict[str, list]) -> str:
    return ", one config, seeds apart" if len(lines) == 1 else ", by what differs between their configs"


def compare(runs: Sequence[RunRecord], wish: PlotOptions) -> list[Path]:
    """Groups of one config with their seeds, and how far each is from the first. Of runs scored on the same images."""
    drawn = []
    for alike in by_task(runs):
        found = group_by_config(alike)
        if len(found) < 2:
            continue
        names = {evaluated(run).name for run in alike}
        if len(names) > 1:
            raise NothingToPlot(
                f"the runs were scored on {' and '.join(sorted(names))}: name one with --eval, or run `vocctl eval` for all"
            )
        if any(isnan(class_scores_mean(evaluated(run))) for run in alike):
            raise NothingToPlot(f"{names.pop()} has no image with a class: the mean to compare is undefined there")
        first = [evaluated(run) for run in found[0].runs]
        compared = []
        for group in found:
            scored = [evaluated(run) for run in group.runs]
            compared.append(
                ComparedGroup(
                    label=group.label,
                    scores=[class_scores_mean(one) for one in scored],
                    seeds=[run.settings["seed"] for run in group.runs],
                    difference=None if group is found[0] else difference(first, scored),
                )
            )
        measured = any(one.difference for one in compared)
        note = "Dot: a run. Bar: mean over the runs of a config." + (
            "\nDiamond: difference of the means from the first config, with the 95 % interval of a paired bootstrap over "
            "the images; it knows nothing of other seeds."
            if measured
            else ""
        )
        title = f"{alike[0].task}: {len(alike)} runs on {names.pop()}, {first[0].scores['images']} images"
        place = wish.shared_place(alike, "compare")
        score = SCORE_NAMES[MAIN_SCORE[alike[0].task]]
        drawn.append(draw_compared(compared, place, title=title, score=score, note=note))
    if not drawn:
        raise NothingToPlot("compare needs runs of one task whose configs differ in more than the seed: name several")
    return drawn
