"""Training curves: losses, scores and learning rate against the epoch; of one run, or of several over each other."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from vocctl.plots.style import put_title, quiet_style, save_figure

SCORES = {
    "mean IoU": "mean_iou",
    "mean Dice": "mean_dice",
    "pixel accuracy": "pixel_accuracy",
    "mAP, 11-point": "map_11_point",
    "mAP, all points": "map_all_points",
    "mAP, sklearn": "map_sklearn",
    "F1 per image at 0.5": "sample_f1",
    "drop of the targets' scores": "drop",
}
Records = Sequence[Mapping[str, Any]]  # the lines of a run's metrics.jsonl


def draw_curves(records: Records, path: Path, *, title: str, best_epoch: int) -> Path:
    """The best epoch is marked in each panel."""
    epochs = [record["epoch"] for record in records]
    panels = (
        ("loss", {"training loss": "train_loss", "validation cross-entropy": "val_loss"}, 1),
        ("validation score, %", SCORES, 100),
        ("learning rate at the epoch's end", {"of the fastest layer": "lr"}, 1),
    )
    with quiet_style():
        figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
        for ax, (label, lines, scale) in zip(axes, panels, strict=True):
            for name, key in lines.items():
                if key not in records[0]:  # a score of another task
                    continue
                ax.plot(epochs, [scale * record[key] for record in records], marker="o", markersize=3, label=name)
            ax.axvline(best_epoch, color="0.5", linestyle=":", label=f"best epoch, {best_epoch}")
            _finish(ax, label)
            ax.legend(frameon=False)
        put_title(figure, title)
        sns.despine(figure)
        return save_figure(figure, path)


def draw_overlaid_curves(
    groups: Mapping[str, Sequence[Records]], path: Path, *, title: str, score: tuple[str, str]
) -> Path:
    """A color a group. Runs of a group are drawn as their mean, with a band from the lowest to the highest.

    score: name and key of the one that is drawn; each run's best value of it is marked.
    """
    panels = (
        ("training loss", "train_loss", 1),
        ("validation cross-entropy", "val_loss", 1),
        (f"validation {score[0]}, %", score[1], 100),
        ("learning rate at the epoch's end", "lr", 1),
    )
    with quiet_style():
        figure, axes = plt.subplots(1, 4, figsize=(16, 3.8), layout="constrained")
        colors = sns.color_palette("colorblind", len(groups)) if len(groups) <= 10 else sns.husl_palette(len(groups))
        for ax, (label, key, scale) in zip(axes, panels, strict=True):
            for color, runs in zip(colors, groups.values(), strict=True):
                _draw_group(ax, runs, key, scale, color)
                if key == score[1]:
                    _mark_best(ax, runs, key, scale, color)
            _finish(ax, label)
        names = [f"{label} ({len(runs)} runs)" if len(runs) > 1 else label for label, runs in groups.items()]
        handles = [plt.Line2D([], [], color=color, marker="o", markersize=3) for color in colors]
        handles.append(plt.Line2D([], [], color="0.3", marker="*", markersize=9, linestyle=""))
        figure.legend(
            handles,
            [*names, "best epoch of a run"],
            loc="outside lower center",
            ncols=min(len(handles), 3),
            frameon=False,
        )
        band = "; line: mean, band: lowest to highest" if any(len(runs) > 1 for runs in groups.values()) else ""
        put_title(figure, title + band)
        sns.despine(figure)
        return save_figure(figure, path)


def _draw_group(ax: Axes, runs: Sequence[Records], key: str, scale: float, color: Any) -> None:
    lines = [([record["epoch"] for record in run], [scale * record[key] for record in run]) for run in runs]
    if len(lines) == 1:
        ax.plot(*lines[0], marker="o", markersize=3, color=color)
        return
    first, last = max(epochs[0] for epochs, _ in lines), min(epochs[-1] for epochs, _ in lines)
    epochs = sorted({epoch for own, _ in lines for epoch in own if first <= epoch <= last})
    if not epochs:  # no epoch that all have seen
        for line in lines:
            ax.plot(*line, marker="o", markersize=3, color=color)
        return
    values = np.array([np.interp(epochs, *line) for line in lines])
    if len(epochs) == 1:
        ax.plot([epochs[0]] * len(values), values[:, 0], "o", markersize=3, color=color)
        return
    ax.plot(epochs, values.mean(0), marker="o", markersize=3, color=color)
    ax.fill_between(epochs, values.min(0), values.max(0), color=color, alpha=0.2, linewidth=0)


def _mark_best(ax: Axes, runs: Sequence[Records], key: str, scale: float, color: Any) -> None:
    for run in runs:
        best = max(run, key=lambda record: record[key])
        ax.plot(best["epoch"], scale * best[key], "*", markersize=9, color=color, markeredgecolor="white", zorder=5)


def _finish(ax: Axes, label: str) -> None:
    ax.set(xlabel="epoch", ylabel=label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    low, high = ax.get_xlim()
    if high - low < 2:  # one epoch was validated
        ax.set_xlim(low - 1, high + 1)
    if ax.get_ylim()[0] > 0:  # an adversary's loss lies below
        ax.set_ylim(bottom=0)
