"""A classifier's most confident errors: each image with its highest probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from vocctl.plots.style import figure_style, new_figure, save_figure, set_title

PRESENT, ABSENT, NOT_SCORED = "in the ground truth", "not in the ground truth", "not scored (difficult objects only)"
TRUTH_COLORS = {PRESENT: "#0173b2", ABSENT: "#de8f05", NOT_SCORED: "#949494"}  # of seaborn's color-blind palette
COLUMNS = 4


@dataclass(frozen=True)
class ProbabilityBar:
    class_name: str
    probability: float
    truth: str  # PRESENT, ABSENT or NOT_SCORED
    predicted: bool  # the probability reaches the class's threshold


@dataclass(frozen=True)
class ErrorCase:
    image_id: str
    error: str  # "false positive: dog"
    image: np.ndarray  # (H, W, 3) uint8
    bars: Sequence[ProbabilityBar]  # the highest probability first


def draw_errors(cases: Sequence[ErrorCase], path: Path, *, title: str) -> Path:
    """Four cases in a row, each image above its probabilities."""
    rows, columns = -(-len(cases) // COLUMNS), min(COLUMNS, len(cases))
    with figure_style():
        size = (3.3 * columns, 4.0 * rows + 0.8)
        figure, axes = new_figure(2 * rows, columns, size, height_ratios=(5, 3) * rows)
        for ax in axes.ravel():
            ax.set_axis_off()
        for index, case in enumerate(cases):
            row, column = divmod(index, COLUMNS)
            image_ax, bar_ax = axes[2 * row, column], axes[2 * row + 1, column]
            image_ax.imshow(case.image)
            image_ax.set_title(f"{case.error}\n{shorten(case.image_id, 30, placeholder='...')}", fontsize=9)
            _draw_bars(bar_ax, case.bars)
        set_title(figure, title)
        truths = {bar.truth for case in cases for bar in case.bars} | {PRESENT, ABSENT}
        handles = [Patch(facecolor=color, label=name) for name, color in TRUTH_COLORS.items() if name in truths]
        legend_title = "probability of a class that is"
        figure.legend(handles=handles, title=legend_title, loc="outside lower center", ncols=3, frameon=False)
        return save_figure(figure, path)


def _draw_bars(ax: Axes, bars: Sequence[ProbabilityBar]) -> None:
    for row, bar in enumerate(reversed(bars)):  # barh draws from the bottom up
        ax.barh(row, bar.probability, color=TRUTH_COLORS[bar.truth], height=0.72)
        text = f"{100 * bar.probability:.0f} %{', predicted' if bar.predicted else ''}"
        inside = bar.probability > 0.55
        ax.text(
            bar.probability - 0.02 if inside else bar.probability + 0.02, row, text, va="center",
            ha="right" if inside else "left", fontsize=8, color="white" if inside else "0.2",
        )  # fmt: skip
        weight = "bold" if bar.truth == PRESENT else "normal"
        ax.text(-0.02, row, bar.class_name, va="center", ha="right", fontsize=8, weight=weight)
    ax.set(xlim=(-0.45, 1), ylim=(-0.6, len(bars) - 0.4))
