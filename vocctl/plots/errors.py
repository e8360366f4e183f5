"""Images that a classifier was surest about and wrong: each with its highest probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from vocctl.plots.style import put_title, quiet_style, save_figure

COLORS = {"true": "#0173b2", "not true": "#de8f05", "in no score": "#949494"}  # of seaborn's color-blind palette
COLUMNS = 4


@dataclass(frozen=True)
class LabelBar:
    name: str
    probability: float
    truth: str  # a key of COLORS
    decided: bool


@dataclass(frozen=True)
class ErrorCase:
    image_id: str
    what: str  # which mistake, in words
    image: np.ndarray  # (H, W, 3) uint8
    bars: Sequence[LabelBar]  # the highest first


def draw_errors(mistakes: Sequence[ErrorCase], path: Path, *, title: str) -> Path:
    """Four to a row, the image above its probabilities."""
    rows = -(-len(mistakes) // COLUMNS)
    columns = min(COLUMNS, len(mistakes))
    with quiet_style():
        figure, axes = plt.subplots(
            2 * rows,
            columns,
            figsize=(3.3 * columns, 4.0 * rows + 0.8),
            layout="constrained",
            squeeze=False,
            height_ratios=(5, 3) * rows,
        )
        for ax in axes.ravel():
            ax.set_axis_off()
        for place, mistake in enumerate(mistakes):
            above, below = axes[2 * (place // COLUMNS) : 2 * (place // COLUMNS) + 2, place % COLUMNS]
            above.imshow(mistake.image)
            above.set_title(f"{mistake.what}\n{shorten(mistake.image_id, 30, placeholder='...')}", fontsize=9)
            _draw_bars(below, mistake.bars)
        handles = [Patch(facecolor=color, label=name) for name, color in COLORS.items()]
        put_title(figure, title)
        figure.legend(
            handles=handles[:2] if not any(b.truth == "in no score" for m in mistakes for b in m.bars) else handles,
            title="probability of a class that is",
            loc="outside lower center",
            ncols=3,
            frameon=False,
        )
        return save_figure(figure, path)


def _draw_bars(ax: Axes, bars: Sequence[LabelBar]) -> None:
    for row, bar in enumerate(bars):
        place = len(bars) - 1 - row
        ax.barh(place, bar.probability, color=COLORS[bar.truth], height=0.72)
        said = f"{100 * bar.probability:.0f} %{', predicted' if bar.decided else ''}"
        inside = bar.probability > 0.55
        ax.text(
            bar.probability - 0.02 if inside else bar.probability + 0.02, place, said, va="center",
            ha="right" if inside else "left", fontsize=8, color="white" if inside else "0.2",
        )  # fmt: skip
        ax.text(
            -0.02, place, bar.name, va="center", ha="right", fontsize=8, weight="bold" if bar.truth == "true" else None
        )
    ax.set(xlim=(-0.45, 1), ylim=(-0.6, len(bars) - 0.4))
