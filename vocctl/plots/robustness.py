"""Scores under attack against the perturbation budget, of one run or several; transfer between runs as a matrix."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes

from vocctl.plots.style import figure_style, new_figure, save_figure, series_colors

Line = tuple[list[float], list[float]]  # budgets, and the score in [0, 1] at each
MARKERS = "os^Dv<>Pp*hX"
LINE_STYLES: dict[str, dict[str, Any]] = {
    "noise": {"color": "0.55", "linestyle": ":"},
    # wide and transparent: one attack may be the worst case at every budget
    "worst case": {"color": "black", "linewidth": 3.5, "alpha": 0.5, "zorder": 1},
}


def draw_robustness(
    lines: Mapping[str, Line], path: Path, *, clean: float, score: str, budget: str, title: str
) -> Path:
    """One run: a line per attack, starting at the clean score.

    lines: attack -> budgets and scores; an attack with a budget of NaN (bounded by a penalty only) is a horizontal line.
    clean: score in [0, 1] without attack. score, budget: names of the axes.
    """
    with figure_style():
        figure, axes = new_figure(1, 1, (7.2, 4.4))
        ax = axes[0, 0]
        clean_text = f"{100 * clean:.1f}" if np.isfinite(clean) else "undefined"
        ax.axhline(100 * clean, color="0.35", linestyle="--", linewidth=1, label=f"clean, {clean_text}")
        ticks = {0.0}
        for index, (attack, (budgets, scores)) in enumerate(lines.items()):
            percent = [100 * value for value in scores]
            if np.isnan(budgets).any():
                ax.axhline(percent[0], linestyle="-.", linewidth=1, color=f"C{index}", label=attack)
                continue
            ticks |= set(budgets)
            style = LINE_STYLES.get(attack, {})
            marker = MARKERS[index % len(MARKERS)]
            ax.plot([0.0, *budgets], [100 * clean, *percent], marker=marker, markersize=5, label=attack, **style)
        _finish_axes(ax, {tick: f"{tick:g}" for tick in sorted(ticks)}, budget, score, title)
        sns.despine(figure)
        return save_figure(figure, path)


def draw_robustness_of_runs(
    lines: Mapping[str, Sequence[Line]], path: Path, *, score: str, budget: str, title: str
) -> Path:
    """Several runs under one attack: a color per config, a thick line for the mean of its runs, a thin one for each run.

    lines: config -> the line of each run; all have the same budgets, and the first budget is 0, which means clean.
    """
    with figure_style():
        figure, axes = new_figure(1, 1, (8.5, 4.4))
        ax = axes[0, 0]
        for index, (config, runs) in enumerate(lines.items()):
            color = series_colors(10)[index % 10]
            budgets = runs[0][0]
            average = [100 * mean(scores) for scores in zip(*(line[1] for line in runs), strict=True)]
            ax.plot(budgets, average, marker=MARKERS[index % len(MARKERS)], color=color, label=config)
            for _, scores in runs if len(runs) > 1 else ():
                ax.plot(budgets, [100 * value for value in scores], color=color, linewidth=0.7, alpha=0.6)
        ticks = sorted({tick for runs in lines.values() for tick in runs[0][0]})
        _finish_axes(ax, {tick: f"{tick:g}" if tick else "clean" for tick in ticks}, budget, score, title)
        sns.despine(figure)
        return save_figure(figure, path)


def _finish_axes(ax: Axes, ticks: Mapping[float, str], budget: str, score: str, title: str) -> None:
    """ticks: budget -> its label."""
    ax.set(xlabel=budget, ylabel=f"{score}, %", xlim=(0, None), ylim=(0, None), title=title)
    ax.set_xticks(list(ticks), list(ticks.values()))
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def draw_transfer(
    sources: Sequence[str], tested: Sequence[str], scores: np.ndarray, path: Path, *, score: str, title: str
) -> Path:
    """How adversarial images that were computed on one run affect the others.

    scores: (1 + sources, tested) in [0, 1]. Row 0: clean images. Row i: adversarial images of sources[i - 1].
    """
    with figure_style():
        longest = max(len(name) for name in [*sources, *tested])
        size = (2.4 + 0.09 * longest + 1.3 * len(tested), 2.0 + 0.03 * longest + 0.6 * len(sources))
        figure, axes = new_figure(1, 1, size)
        ax = axes[0, 0]
        sns.heatmap(
            100 * scores, annot=True, fmt=".1f", cmap="cividis", vmin=0, ax=ax, square=False,
            xticklabels=list(tested), yticklabels=["clean", *sources], cbar_kws={"label": f"{score}, %"},
        )  # fmt: skip
        ax.set(xlabel="tested on", ylabel="attack computed on", title=title)
        ax.set_xticks(ax.get_xticks(), list(tested), rotation=20, ha="right", rotation_mode="anchor")
        ax.tick_params(axis="y", rotation=0)
        return save_figure(figure, path)
