"""The score that each attack leaves, against its budget, with clean and noise as references; transfer as a grid."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from vocctl.plots.style import quiet_style, save_figure

Line = tuple[list[float], list[float]]  # budgets, scores in [0, 1]
MARKERS = "os^Dv<>Pp*hX"


def draw_robustness(lines: dict[str, Line], path: Path, *, clean: float, score: str, budget: str, title: str) -> Path:
    """One run: a line an attack; a point of budget nan (a penalty's strength) becomes a level. budget: the axis' unit."""
    with quiet_style():
        figure, ax = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
        known = f"{100 * clean:.1f}" if np.isfinite(clean) else "undefined"
        ax.axhline(100 * clean, color="0.35", linestyle="--", linewidth=1, label=f"clean, {known}")
        shown: set[float] = {0.0}
        for number, (name, (budgets, scores)) in enumerate(lines.items()):
            style: dict[str, Any] = {"color": "0.55", "linestyle": ":"} if name == "noise" else {}
            if name == "worst case":
                style = {"color": "black", "linewidth": 3.5, "alpha": 0.5, "zorder": 1}  # one attack may be all of it
            values = [100 * value for value in scores]
            if np.isnan(budgets).any():
                ax.axhline(values[0], linestyle="-.", linewidth=1, color=f"C{number}", label=name)
                continue
            shown |= set(budgets)
            budgets, values = [0.0, *budgets], [100 * clean, *values]  # at no budget nothing changes
            ax.plot(budgets, values, marker=MARKERS[number % len(MARKERS)], markersize=5, label=name, **style)
        ax.set(xlabel=budget, ylabel=f"{score}, %", xlim=(0, None), ylim=(0, None), title=title)
        ax.set_xticks(sorted(shown), [f"{one:g}" for one in sorted(shown)])
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        sns.despine(figure)
        return save_figure(figure, path)


def draw_robust_runs(lines: dict[str, list[Line]], path: Path, *, score: str, budget: str, title: str) -> Path:
    """Several runs under one attack: a color for each config, a thin line a run, a thick one their mean; 0 is clean."""
    with quiet_style():
        figure, ax = plt.subplots(figsize=(8.5, 4.4), layout="constrained")
        for number, (name, runs) in enumerate(lines.items()):
            color = sns.color_palette("colorblind")[number % 10]
            budgets = runs[0][0]
            average = [100 * mean(scores) for scores in zip(*(line[1] for line in runs), strict=True)]
            ax.plot(budgets, average, marker=MARKERS[number % len(MARKERS)], color=color, label=name)
            for _, scores in runs if len(runs) > 1 else ():
                ax.plot(budgets, [100 * value for value in scores], color=color, linewidth=0.7, alpha=0.6)
        shown = sorted({one for runs in lines.values() for one in runs[0][0]})
        ax.set(xlabel=budget, ylabel=f"{score}, %", xlim=(0, None), ylim=(0, None), title=title)
        ax.set_xticks(shown, [f"{one:g}" if one else "clean" for one in shown])
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        sns.despine(figure)
        return save_figure(figure, path)


def draw_transfer(
    crafted: Sequence[str], runs: Sequence[str], scores: np.ndarray, path: Path, *, score: str, title: str
) -> Path:
    """scores: (1 + C, R) in [0, 1]; row 0 clean, row i of what was crafted on crafted[i - 1], column j tested on run j."""
    with quiet_style():
        longest = max(len(name) for name in [*crafted, *runs])
        size = (2.4 + 0.09 * longest + 1.3 * len(runs), 2.0 + 0.03 * longest + 0.6 * len(crafted))
        figure, ax = plt.subplots(figsize=size, layout="constrained")
        sns.heatmap(
            100 * scores, annot=True, fmt=".1f", cmap="cividis", vmin=0, ax=ax, square=False,
            xticklabels=list(runs), yticklabels=["clean", *crafted], cbar_kws={"label": f"{score}, %"},
        )  # fmt: skip
        ax.set(xlabel="tested on", ylabel="crafted on", title=title)
        ax.set_xticks(ax.get_xticks(), list(runs), rotation=20, ha="right", rotation_mode="anchor")
        ax.tick_params(axis="y", rotation=0)
        return save_figure(figure, path)
