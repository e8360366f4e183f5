"""Comparison of configs: the score of each run with their mean, and the paired difference from the first config."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from textwrap import fill

import seaborn as sns
from matplotlib.axes import Axes

from vocctl.plots.style import figure_style, new_figure, save_figure, series_colors, set_title


@dataclass(frozen=True)
class ComparedGroup:
    """The runs of one config."""

    label: str
    scores: Sequence[float]  # of each run, in [0, 1]
    seeds: Sequence[int]  # of each run
    difference: tuple[float, float, float] | None  # mean minus the first group's mean, and its interval's low and high


def draw_comparison(groups: Sequence[ComparedGroup], path: Path, *, title: str, score: str, note: str) -> Path:
    """One row per group, the first on top. The right panel is drawn if a group has a difference."""
    has_differences = any(group.difference for group in groups)
    with figure_style():
        size = (12 if has_differences else 8, 1.8 + 0.55 * len(groups))
        panels = 2 if has_differences else 1
        figure, axes = new_figure(1, panels, size, sharey=True, width_ratios=(3, 2)[:panels])
        rows = range(len(groups) - 1, -1, -1)  # drawn from the bottom up
        _draw_scores(axes[0, 0], groups, rows, score)
        if has_differences:
            _draw_differences(axes[0, 1], groups, rows)
        set_title(figure, title)
        figure.supxlabel(note, fontsize=8, color="0.3")
        sns.despine(figure, left=True)
        return save_figure(figure, path)


def _draw_scores(ax: Axes, groups: Sequence[ComparedGroup], rows: Sequence[int], score: str) -> None:
    """A bar at the mean of each group, a dot at each run."""
    color = series_colors(1)[0]
    for row, group in zip(rows, groups, strict=True):
        average = 100 * mean(group.scores)
        values = [100 * value for value in group.scores]
        ax.barh(row, average, color="0.87", edgecolor="0.6", height=0.62)
        ax.plot(values, [row] * len(values), "o", color=color, alpha=0.85)
        ax.text(max(average, *values), row, f"  {average:.1f}", va="center", fontsize=9)
    labels = [f"{_wrap_between_settings(group.label)}\n{_format_seeds(group.seeds)}" for group in groups]
    ax.set_yticks(list(rows), labels, fontsize=9)
    highest = max(max(group.scores) for group in groups)
    ax.set(xlabel=f"{score}, %", xlim=(0, 112 * highest or 1))
    ax.grid(visible=False, axis="y")


def _draw_differences(ax: Axes, groups: Sequence[ComparedGroup], rows: Sequence[int]) -> None:
    """A diamond at each difference from the first group, with its interval, in percentage points."""
    ax.axvline(0, color="0.4", linewidth=1)
    for row, group in zip(rows, groups, strict=True):
        if group.difference is None:
            ax.text(0, row, "baseline", ha="center", va="center", fontsize=8, color="0.3",
                    bbox={"facecolor": "white", "edgecolor": "0.7", "boxstyle": "round"})  # fmt: skip
            continue
        value, low, high = (100 * bound for bound in group.difference)
        ax.errorbar(value, row, xerr=[[value - low], [high - value]], fmt="D", color=series_colors(1)[0], capsize=4)
        ax.text(value, row + 0.2, f"{value:+.1f}", ha="center", va="bottom", fontsize=9)
    ax.set(xlabel="difference, percentage points")
    ax.grid(visible=False, axis="y")
    low, high = ax.get_xlim()
    margin = 0.25 * (high - low)  # room for the text at 0
    ax.set_xlim(min(low, -margin), max(high, margin))


def _wrap_between_settings(label: str) -> str:
    """Break lines after a comma, never inside a setting."""
    unbreakable = label.replace(" ", "\xa0").replace(",\xa0", ", ")
    return fill(unbreakable, 34).replace("\xa0", " ")


def _format_seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
