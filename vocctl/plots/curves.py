"""Training curves: losses, validation scores and learning rate over the epochs, of one run or of several overlaid."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from vocctl.plots.style import figure_style, new_figure, save_figure, series_colors, set_title

Records = Sequence[Mapping[str, Any]]  # the lines of a run's metrics.jsonl
TRAIN_LOSS, VAL_LOSS, LR = "training loss", "validation cross-entropy", "learning rate at the epoch's end"


def draw_curves(records: Records, path: Path, *, title: str, scores: Mapping[str, str], best_epoch: int) -> Path:
    """One run. scores: key of a record -> name; keys without a value in the records are skipped. Marks best_epoch."""
    epochs = [record["epoch"] for record in records]
    panels = (
        ("loss", {"train_loss": TRAIN_LOSS, "val_loss": VAL_LOSS}, 1),
        ("validation score, %", scores, 100),
        (LR, {"lr": "highest of the parameter groups"}, 1),
    )
    with figure_style():
        figure, axes = new_figure(1, len(panels), (13, 3.6))
        for ax, (ylabel, lines, scale) in zip(axes[0], panels, strict=True):
            for key, name in lines.items():
                if key in records[0]:
                    ax.plot(epochs, [scale * record[key] for record in records], marker="o", markersize=3, label=name)
            ax.axvline(best_epoch, color="0.5", linestyle=":", label=f"best epoch, {best_epoch}")
            _finish_axes(ax, ylabel)
            ax.legend(frameon=False)
        set_title(figure, title)
        sns.despine(figure)
        return save_figure(figure, path)


def draw_overlaid_curves(
    groups: Mapping[str, Sequence[Records]], path: Path, *, title: str, score: tuple[str, str]
) -> Path:
    """One color per group. A group of several runs is drawn as their mean, with a band from the lowest to the highest.

    groups: label -> the records of each run. score: key and name of the validation score; each run's best is marked.
    """
    key, name = score
    panels = (
        (TRAIN_LOSS, "train_loss", 1),
        (VAL_LOSS, "val_loss", 1),
        (f"validation {name}, %", key, 100),
        (LR, "lr", 1),
    )
    with figure_style():
        figure, axes = new_figure(1, len(panels), (16, 3.8))
        colors = series_colors(len(groups))
        for ax, (ylabel, panel_key, scale) in zip(axes[0], panels, strict=True):
            for color, runs in zip(colors, groups.values(), strict=True):
                _draw_group(ax, runs, panel_key, scale, color)
                if panel_key == key:
                    _mark_best(ax, runs, key, scale, color)
            _finish_axes(ax, ylabel)
        labels = [f"{label} ({len(runs)} runs)" if len(runs) > 1 else label for label, runs in groups.items()]
        handles = [Line2D([], [], color=color, marker="o", markersize=3) for color in colors]
        handles.append(Line2D([], [], color="0.3", marker="*", markersize=9, linestyle=""))
        labels.append("best epoch of a run")
        columns = min(len(handles), 3)
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
        has_band = any(len(runs) > 1 for runs in groups.values())
        set_title(figure, f"{title}; line: mean, band: lowest to highest" if has_band else title)
        sns.despine(figure)
        return save_figure(figure, path)


def _draw_group(ax: Axes, runs: Sequence[Records], key: str, scale: float, color: Any) -> None:
    """The mean and range over the epochs that all runs have; each run alone where they have no epoch in common."""
    lines = [([record["epoch"] for record in run], [scale * record[key] for record in run]) for run in runs]
    first = max(epochs[0] for epochs, _ in lines)
    last = min(epochs[-1] for epochs, _ in lines)
    common_epochs = sorted({epoch for epochs, _ in lines for epoch in epochs if first <= epoch <= last})
    if len(lines) == 1 or not common_epochs:
        for line in lines:
            ax.plot(*line, marker="o", markersize=3, color=color)
        return
    values = np.array([np.interp(common_epochs, *line) for line in lines])  # (runs, epochs)
    if len(common_epochs) == 1:
        ax.plot(common_epochs * len(values), values[:, 0], "o", markersize=3, color=color)
        return
    ax.plot(common_epochs, values.mean(0), marker="o", markersize=3, color=color)
    ax.fill_between(common_epochs, values.min(0), values.max(0), color=color, alpha=0.2, linewidth=0)


def _mark_best(ax: Axes, runs: Sequence[Records], key: str, scale: float, color: Any) -> None:
    for run in runs:
        best = max(run, key=lambda record: record[key])
        ax.plot(best["epoch"], scale * best[key], "*", markersize=9, color=color, markeredgecolor="white", zorder=5)


def _finish_axes(ax: Axes, ylabel: str) -> None:
    ax.set(xlabel="epoch", ylabel=ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    low, high = ax.get_xlim()
    if high - low < 2:  # only one epoch was validated
        ax.set_xlim(low - 1, high + 1)
    if ax.get_ylim()[0] > 0:  # the loss of a perturbation generator is negative
        ax.set_ylim(bottom=0)
