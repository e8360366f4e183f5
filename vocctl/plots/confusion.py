"""Matrices over pairs of classes as heat maps: confusion and co-occurrence."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes

from vocctl.plots.style import figure_style, new_figure, save_figure, set_title

MIN_PRINTED_PERCENT = 0.5  # a cell below it has no number


@dataclass(frozen=True)
class ClassMatrix:
    title: str
    fractions: np.ndarray  # (K, K) in [0, 1]; a row of NaN: the class does not occur
    classes: Sequence[str]  # K names
    row_label: str  # what the classes of the rows are
    column_label: str


def normalize_rows(counts: np.ndarray) -> np.ndarray:
    """Divide each row of (K, K) by its sum; a row whose sum is 0 becomes NaN."""
    totals = counts.sum(1, keepdims=True)
    return np.where(totals > 0, counts / np.maximum(totals, 1), np.nan)


def draw_class_matrices(matrices: Sequence[ClassMatrix], path: Path, *, title: str, note: str = "") -> Path:
    """The matrices side by side, with the percentage in each cell."""
    with figure_style():
        figure, axes = new_figure(1, len(matrices), (8.4 * len(matrices), 8.4))
        for ax, matrix in zip(axes[0], matrices, strict=True):
            _draw_matrix(ax, matrix)
        bar = figure.colorbar(axes[0, 0].images[0], ax=list(axes[0]), fraction=0.025, pad=0.01)
        bar.set_label("percent")
        bar.outline.set_visible(False)
        set_title(figure, title)
        if note:
            figure.supxlabel("\n" + note, fontsize=9, color="0.3")
        return save_figure(figure, path)


def _draw_matrix(ax: Axes, matrix: ClassMatrix) -> None:
    percent = 100 * matrix.fractions
    ax.set_facecolor("0.93")
    ax.imshow(percent, cmap=sns.color_palette("Blues", as_cmap=True), vmin=0, vmax=100)
    for row, column in zip(*np.nonzero(np.nan_to_num(percent) >= MIN_PRINTED_PERCENT), strict=True):
        value = percent[row, column]
        color = "white" if value > 55 else "0.15"
        text = ax.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=color)
        text.set_in_layout(False)  # it is inside the axes; measuring hundreds of texts takes seconds
    center = len(percent) / 2 - 0.5
    for row in np.flatnonzero(np.isnan(percent).all(1)):
        ax.text(center, float(row), "not in the ground truth", ha="center", va="center", fontsize=8, color="0.4")
    positions = range(len(matrix.classes))
    ax.set_xticks(positions, matrix.classes, rotation=90, fontsize=8)
    ax.set_yticks(positions, matrix.classes, fontsize=8)
    borders = np.arange(len(matrix.classes) - 1) + 0.5
    ax.set_xticks(borders, minor=True)
    ax.set_yticks(borders, minor=True)
    ax.grid(visible=False, which="major")
    ax.grid(visible=True, which="minor", color="white", linewidth=0.8)
    ax.tick_params(which="minor", length=0)
    ax.set(xlabel=matrix.column_label, ylabel=matrix.row_label, title=matrix.title)
