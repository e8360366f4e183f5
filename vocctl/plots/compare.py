"""What a study compares: a dot a run, a bar their mean; beside it the difference from the first, with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from textwrap import fill

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes

from vocctl.plots.style import put_title, quiet_style, save_figure


@dataclass(frozen=True)
class ComparedGroup:
    label: str
    scores: Sequence[float]  # a run each, in [0, 1]
    seeds: Sequence[int]
    difference: tuple[float, float, float] | None  # of the mean from the first group's; its 95 % interval


def draw_compared(groups: Sequence[ComparedGroup], path: Path, *, title: str, score: str, note: str) -> Path:
    """groups: the first is what the others are measured against."""
    measured = any(group.difference for group in groups)
    with quiet_style():
        figure, axes = plt.subplots(
            1,
            2 if measured else 1,
            figsize=(12 if measured else 8, 1.8 + 0.55 * len(groups)),
            layout="constrained",
            sharey=True,
            squeeze=False,
            width_ratios=(3, 2) if measured else (1,),
        )
        left, color = axes[0][0], sns.color_palette("colorblind")[0]
        places = range(len(groups) - 1, -1, -1)  # the first on top
        for place, group in zip(places, groups, strict=True):
            average = mean(group.scores)
            left.barh(place, 100 * average, color="0.87", edgecolor="0.6", height=0.62)
            left.plot(
                [100 * value for value in group.scores], [place] * len(group.scores), "o", color=color, alpha=0.85
            )
            edge = 100 * max(average, *group.scores)
            left.text(edge, place, f"  {100 * average:.1f}", va="center", fontsize=9)
        names = [f"{_wrapped(group.label)}\n{_seeds(group.seeds)}" for group in groups]
        left.set_yticks(list(places), names, fontsize=9)
        highest = max(max(group.scores) for group in groups)
        left.set(xlabel=f"{score}, %", xlim=(0, 112 * highest or 1))
        left.grid(visible=False, axis="y")
        if measured:
            right = axes[0][1]
            right.axvline(0, color="0.4", linewidth=1)
            for place, group in zip(places, groups, strict=True):
                if group.difference is None:
                    right.text(0, place, "measured against this", ha="center", va="center", fontsize=8, color="0.3",
                               bbox={"facecolor": "white", "edgecolor": "0.7", "boxstyle": "round"})  # fmt: skip
                    continue
                value, low, high = (100 * bound for bound in group.difference)
                right.errorbar(value, place, xerr=[[value - low], [high - value]], fmt="D", color=color, capsize=4)
                right.text(value, place + 0.2, f"{value:+.1f}", ha="center", va="bottom", fontsize=9)
            right.set(xlabel="difference, points")
            right.grid(visible=False, axis="y")
            _widen(right)
        put_title(figure, title)
        figure.supxlabel(note, fontsize=8, color="0.3")
        sns.despine(figure, left=True)
        return save_figure(figure, path)


def _widen(ax: Axes) -> None:
    """Room for the words at 0, which lie on both sides of it."""
    low, high = ax.get_xlim()
    room = 0.25 * (high - low)
    ax.set_xlim(min(low, -room), max(high, room))


def _wrapped(label: str) -> str:
    """Broken between settings, never inside one."""
    held = label.replace(" ", "\xa0").replace(",\xa0", ", ")
    return fill(held, 34).replace("\xa0", " ")


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
