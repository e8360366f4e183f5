"""A search of hyper-parameters: the score of every trial, and how much each setting matters."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import seaborn as sns

from vocctl.plots.style import figure_style, new_figure, save_figure, series_colors, set_title


def draw_search(
    scores: Sequence[float],
    importance: Mapping[str, float],
    path: Path,
    *,
    title: str,
    score: str,
    higher_is_better: bool,
) -> Path:
    """scores: of the finished trials, in the order in which they were run. importance: of each setting, they add up to 1."""
    with figure_style():
        panels = 2 if importance else 1
        figure, axes = new_figure(1, panels, (6 * panels, 4))
        color, best_color = series_colors(2)
        numbers = np.arange(1, len(scores) + 1)
        best = (np.maximum if higher_is_better else np.minimum).accumulate(np.array(scores))
        axes[0, 0].plot(numbers, scores, "o", color=color, label="trial")
        axes[0, 0].step(numbers, best, where="post", color=best_color, label="best so far")
        axes[0, 0].set(xlabel="finished trial", ylabel=score)
        axes[0, 0].legend()
        if importance:
            names = list(importance)[::-1]
            axes[0, 1].barh(names, [importance[name] for name in names], color=color)
            axes[0, 1].set(xlabel="importance (fANOVA), fraction of the variance", xlim=(0, 1))
            axes[0, 1].grid(visible=False, axis="y")
        set_title(figure, title)
        sns.despine(figure)
        return save_figure(figure, path)
