"""Scores on corrupted images by severity, and one image under all corruptions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from vocctl.plots.style import figure_style, hide_ticks, new_figure, save_figure, set_title

MARKERS = "os^D"
PANEL_WIDTH, PANEL_HEIGHT = 3.4, 3.4  # inches
COLUMNS = 4  # images in a row
IMAGE_WIDTH = 2.6  # inches


def draw_corruption_curves(
    lines: Mapping[str, Mapping[str, Sequence[float]]],
    severities: Sequence[int],
    path: Path,
    *,
    clean: float,
    score: str,
    title: str,
) -> Path:
    """One panel per category: a line per corruption, and a wide one for their mean. All start at the clean score.

    lines: category -> corruption -> score in [0, 1] at each of the severities; NaN leaves a gap. score: name of the axis.
    """
    with figure_style():
        figure, axes = new_figure(1, len(lines), (PANEL_WIDTH * len(lines), PANEL_HEIGHT), sharey=True)
        ticks = {0: "clean"} | {severity: str(severity) for severity in severities}
        for ax, (category, of_category) in zip(axes[0], lines.items(), strict=True):
            mean = np.mean(list(of_category.values()), axis=0)
            ax.plot(list(ticks), 100 * np.array([clean, *mean]), color="0.5", linewidth=4, alpha=0.5, label="mean")
            for marker, (name, scores) in zip(MARKERS, of_category.items(), strict=False):
                values = 100 * np.array([clean, *scores])
                ax.plot(list(ticks), values, marker=marker, markersize=5, label=name.replace("_", " "))
            ax.set(title=category, xlabel="severity", ylim=(0, None))
            ax.set_xticks(list(ticks), list(ticks.values()))
            ax.legend(frameon=False, fontsize="small", loc="lower left")
        axes[0, 0].set_ylabel(f"{score}, %")
        set_title(figure, title)
        return save_figure(figure, path)


def draw_image_grid(images: Mapping[str, np.ndarray], path: Path, *, title: str) -> Path:
    """Images of one size, each below its name. images: name -> (H, W, 3) uint8."""
    rows = -(-len(images) // COLUMNS)
    columns = min(len(images), COLUMNS)
    height, width = next(iter(images.values())).shape[:2]
    image_height = min(IMAGE_WIDTH * height / width, 2 * IMAGE_WIDTH) + 0.25
    with figure_style():
        figure, axes = new_figure(rows, columns, (IMAGE_WIDTH * columns, image_height * rows + 0.4))
        for ax in axes.flat:
            ax.set_axis_off()
        for ax, (name, image) in zip(axes.flat, images.items(), strict=False):
            ax.set_axis_on()
            hide_ticks(ax)
            ax.imshow(image)
            ax.set_title(name.replace("_", " "), fontsize="small")
        set_title(figure, title)
        return save_figure(figure, path)
