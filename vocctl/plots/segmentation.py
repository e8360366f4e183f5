"""A segmenter's predictions: image, ground truth, prediction and errors side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.patches import Patch

from vocctl.labels import IGNORE, SEG_CLASSES
from vocctl.plots.mask_colors import ERROR_COLORS, LABEL_COLORS, colorize_labels, error_map
from vocctl.plots.style import figure_style, hide_ticks, new_figure, save_figure, set_title

COLUMNS = ("image", "ground truth", "prediction", "errors")


@dataclass(frozen=True)
class SegmentationCase:
    image_id: str
    mean_iou: float  # of this image, in [0, 1]
    image: np.ndarray  # (H, W, 3) uint8
    true_labels: np.ndarray  # (H, W)
    predicted_labels: np.ndarray  # (H, W)


def draw_segmentation_cases(cases: Sequence[SegmentationCase], path: Path, *, title: str) -> Path:
    """One row per case. The legend has the classes that occur and the kinds of error."""
    with figure_style():
        heights = [case.image.shape[0] / case.image.shape[1] for case in cases]
        size = (10, 2.5 * sum(heights) + 0.9)
        figure, axes = new_figure(len(cases), len(COLUMNS), size, height_ratios=heights)
        for row, case in zip(axes, cases, strict=True):
            panels = (
                case.image,
                colorize_labels(case.true_labels),
                colorize_labels(case.predicted_labels),
                error_map(case.true_labels, case.predicted_labels),
            )
            for ax, panel in zip(row, panels, strict=True):
                ax.imshow(panel, interpolation="nearest")
                hide_ticks(ax)
            row[0].set_ylabel(f"{case.image_id}\nmean IoU {100 * case.mean_iou:.0f} %", fontsize=8)
        for ax, name in zip(axes[0], COLUMNS, strict=True):
            ax.set_title(name)
        set_title(figure, title)
        labels = [labels for case in cases for labels in (case.true_labels, case.predicted_labels)]
        errors = [_patch(color, f"errors: {name}") for name, color in ERROR_COLORS.items()]
        figure.legend(
            handles=class_patches(labels) + errors, loc="outside lower center", ncols=6, frameon=False, fontsize=8
        )
        return save_figure(figure, path)


def class_patches(label_maps: Sequence[np.ndarray]) -> list[Patch]:
    """Legend entries of the classes that occur in the label maps, void last."""
    labels = sorted({int(label) for label_map in label_maps for label in np.unique(label_map)})
    return [_patch(LABEL_COLORS[label], "void" if label == IGNORE else SEG_CLASSES[label]) for label in labels]


def _patch(color: Sequence[int], label: str) -> Patch:
    return Patch(facecolor=(color[0] / 255, color[1] / 255, color[2] / 255), edgecolor="0.5", label=label)
