"""One score of every class, sorted, with intervals where they are known and how much of the class there is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from vocctl.plots.style import quiet_style, save_figure


@dataclass(frozen=True)
class ClassScores:
    label: str
    values: Mapping[str, float]  # class -> share in [0, 1]; nan where undefined
    mean: float
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def draw_classes(
    series: Sequence[ClassScores], support: Mapping[str, str], path: Path, *, title: str, score: str, note: str = ""
) -> Path:
    """A row a class, the best on top by the mean over the series; a class that none of them defines at the bottom.

    support: class -> words on how much of it there is, at the right.
    """
    order = sorted(series[0].values, key=lambda name: _rank(series, name))  # the last is drawn on top
    colors = sns.color_palette("colorblind", len(series)) if len(series) <= 10 else sns.husl_palette(len(series))
    with quiet_style():
        figure, ax = plt.subplots(
            figsize=(8.4, 1.4 + 0.27 * len(order) * (1 + 0.16 * (len(series) - 1))), layout="constrained"
        )
        offsets = np.linspace(0.28, -0.28, len(series)) if len(series) > 1 else [0.0]
        for one, color, offset in zip(series, colors, offsets, strict=True):
            ax.axvline(100 * one.mean, color=color, linestyle=":", linewidth=1.4)
            for place, name in enumerate(order):
                value = one.values[name]
                if isnan(value):
                    continue
                if name in one.intervals:
                    low, high = (100 * bound for bound in one.intervals[name])
                    ax.hlines(place + offset, low, high, color=color, alpha=0.45, linewidth=3)
                ax.plot(100 * value, place + offset, "o", color=color, markersize=5)
        for place, name in enumerate(order):
            if all(isnan(one.values[name]) for one in series):
                ax.text(1, place, "- (neither truth nor prediction)", va="center", fontsize=8, color="0.4",
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
            ax.text(101.5, place, support.get(name, ""), va="center", fontsize=8, color="0.3", clip_on=False)
        ax.set_yticks(range(len(order)), order)
        ax.set(xlim=(0, 100), ylim=(-0.7, len(order) - 0.3), xlabel=f"{score}\n{note}" if note else score, title=title)
        ax.grid(visible=False, axis="y")
        handles = [plt.Line2D([], [], color=c, marker="o", linestyle=":", linewidth=1.4) for c in colors]
        names = [f"{one.label + ': ' if one.label else ''}mean {100 * one.mean:.1f} %" for one in series]
        figure.legend(
            handles, names, loc="outside lower center", ncols=1 if max(map(len, names)) > 45 else 2, frameon=False
        )
        sns.despine(figure, left=True)
        return save_figure(figure, path)


def _rank(series: Sequence[ClassScores], name: str) -> float:
    known = [one.values[name] for one in series if not isnan(one.values[name])]
    return sum(known) / len(known) if known else -1.0
