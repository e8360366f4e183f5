"""Square tables of shares between classes, as heat maps: confusion, co-occurrence."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes

from vocctl.plots.style import put_title, quiet_style, save_figure

WRITTEN = 0.5  # %: a cell below it is left without its number


@dataclass(frozen=True)
class SquareTable:
    title: str
    shares: np.ndarray  # (K, K) in [0, 1]; nan where a row has nothing to count
    names: Sequence[str]
    rows: str  # what a row is
    columns: str


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Each row divided by its sum; nan for an empty one. counts: (K, K)."""
    totals = counts.sum(1, keepdims=True)
    return np.where(totals > 0, counts / np.maximum(totals, 1), np.nan)


def draw_tables(tables: Sequence[SquareTable], path: Path, *, title: str, note: str = "") -> Path:
    """Side by side, with the share in % in each cell that has one; a class that does not occur is a hatched row."""
    with quiet_style():
        figure, axes = plt.subplots(
            1, len(tables), figsize=(8.4 * len(tables), 8.4), layout="constrained", squeeze=False
        )
        for ax, table in zip(axes[0], tables, strict=True):
            _draw(ax, table)
        bar = figure.colorbar(axes[0][0].images[0], ax=list(axes[0]), fraction=0.025, pad=0.01)
        bar.set_label("share of the row, %")
        bar.outline.set_visible(False)
        put_title(figure, title)
        if note:
            figure.supxlabel("\n" + note, fontsize=9, color="0.3")
        return save_figure(figure, path)


def _draw(ax: Axes, table: SquareTable) -> None:
    percent = 100 * table.shares
    ax.set_facecolor("0.93")
    ax.imshow(percent, cmap=sns.color_palette("Blues", as_cmap=True), vmin=0, vmax=100)
    for row, column in zip(*np.nonzero(np.nan_to_num(percent) >= WRITTEN), strict=True):
        value = percent[row, column]
        color = "white" if value > 55 else "0.15"
        written = ax.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=color)
        written.set_in_layout(False)  # it lies inside, and to ask each for its place takes long
    for row in np.flatnonzero(np.isnan(percent).all(1)):
        ax.text(
            len(percent) / 2 - 0.5, float(row), "none in the truth", ha="center", va="center", fontsize=8, color="0.4"
        )
    places = range(len(table.names))
    ax.set_xticks(places, table.names, rotation=90, fontsize=8)
    ax.set_yticks(places, table.names, fontsize=8)
    ax.set_xticks(np.arange(len(table.names) - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(len(table.names) - 1) + 0.5, minor=True)
    ax.grid(visible=False, which="major")
    ax.grid(visible=True, which="minor", color="white", linewidth=0.8)
    ax.tick_params(which="minor", length=0)
    ax.set(xlabel=table.columns, ylabel=table.rows, title=table.title)
