"""Scores by class, sorted, with confidence intervals and each class's frequency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from vocctl.plots.style import figure_style, new_figure, save_figure, series_colors


@dataclass(frozen=True)
class ClassSeries:
    label: str  # for the legend; may be empty
    scores: Mapping[str, float]  # class -> score in [0, 1]; NaN: undefined
    mean: float
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # class -> low, high


def draw_class_scores(
    series: Sequence[ClassSeries], frequency: Mapping[str, str], path: Path, *, title: str, score: str, note: str = ""
) -> Path:
    """One row per class, sorted by the mean over the series: the best on top, undefined classes at the bottom.

    frequency: class -> text on how often it occurs, printed at the right. score: the x axis's label.
    """
    classes = sorted(series[0].scores, key=lambda name: _mean_score(series, name))  # drawn from the bottom up
    colors = series_colors(len(series))
    with figure_style():
        row_height = 0.27 * (1 + 0.16 * (len(series) - 1))
        figure, axes = new_figure(1, 1, (8.4, 1.4 + row_height * len(classes)))
        ax = axes[0, 0]
        offsets = np.linspace(0.28, -0.28, len(series)) if len(series) > 1 else [0.0]
        for one_series, color, offset in zip(series, colors, offsets, strict=True):
            _draw_series(ax, one_series, classes, color, offset)
        for row, name in enumerate(classes):
            if all(isnan(one_series.scores[name]) for one_series in series):
                ax.text(1, row, "- (neither ground truth nor prediction)", va="center", fontsize=8, color="0.4",
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
            ax.text(101.5, row, frequency.get(name, ""), va="center", fontsize=8, color="0.3", clip_on=False)
        ax.set_yticks(range(len(classes)), classes)
        xlabel = f"{score}\n{note}" if note else score
        ax.set(xlim=(0, 100), ylim=(-0.7, len(classes) - 0.3), xlabel=xlabel, title=title)
        ax.grid(visible=False, axis="y")
        handles = [Line2D([], [], color=color, marker="o", linestyle=":", linewidth=1.4) for color in colors]
        names = [f"{one.label + ': ' if one.label else ''}mean {100 * one.mean:.1f} %" for one in series]
        columns = 1 if max(map(len, names)) > 45 else 2
        figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False)
        sns.despine(figure, left=True)
        return save_figure(figure, path)


def _draw_series(ax: Axes, series: ClassSeries, classes: Sequence[str], color: object, offset: float) -> None:
    """A dotted line at the mean, a dot at each score, a bar over each interval. offset: shift within the row."""
    ax.axvline(100 * series.mean, color=color, linestyle=":", linewidth=1.4)
    for row, name in enumerate(classes):
        score = series.scores[name]
        if isnan(score):
            continue
        if name in series.intervals:
            low, high = (100 * bound for bound in series.intervals[name])
            ax.hlines(row + offset, low, high, color=color, alpha=0.45, linewidth=3)
        ax.plot(100 * score, row + offset, "o", color=color, markersize=5)


def _mean_score(series: Sequence[ClassSeries], name: str) -> float:
    """Mean of the defined scores; -1 if none is defined."""
    defined = [one.scores[name] for one in series if not isnan(one.scores[name])]
    return sum(defined) / len(defined) if defined else -1.0
