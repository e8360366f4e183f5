"""Clean image, perturbation, adversarial image, and the model's outputs for both images, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from vocctl.plots.mask_colors import colorize_labels
from vocctl.plots.segmentation import class_patches
from vocctl.plots.style import figure_style, hide_ticks, new_figure, save_figure, set_title

TOP_LABELS = 5  # a classifier's labels with the highest probabilities
Output = np.ndarray | dict[str, float]  # label map (H, W) of a segmenter; class -> probability of a classifier


@dataclass(frozen=True)
class AttackedCase:
    image_id: str
    image: np.ndarray  # (H, W, 3) uint8
    adversarial: np.ndarray  # (H, W, 3) uint8
    clean_output: Output
    adversarial_output: Output
    caption: str  # norms and PSNR of the perturbation


def amplification_factor(cases: Sequence[AttackedCase]) -> int:
    """The largest power of two, at least 1, by which the perturbations can be multiplied without leaving the gray scale.

    The largest 1 % of the values may be clipped: without a bound, a perturbation has a few values far above the others.
    """
    changes = np.concatenate([np.abs(case.adversarial.astype(int) - case.image.astype(int)).ravel() for case in cases])
    large_change = np.quantile(changes, 0.99, method="lower") or changes.max()
    return int(2 ** np.floor(np.log2(127 / large_change))) if 0 < large_change <= 127 else 1


def amplify_perturbation(image: np.ndarray, adversarial: np.ndarray, factor: int) -> np.ndarray:
    """(H, W, 3) uint8: 128 + factor * (adversarial - image), clipped. Both images are (H, W, 3) uint8."""
    return np.clip(128 + factor * (adversarial.astype(int) - image.astype(int)), 0, 255).astype(np.uint8)


def draw_attacked_cases(cases: Sequence[AttackedCase], path: Path, *, title: str) -> Path:
    """One row per case. All perturbations are amplified by the same factor, which the column's title states."""
    factor = amplification_factor(cases)
    columns = ("clean", f"perturbation x {factor}", "adversarial", "output, clean", "output, adversarial")
    with figure_style():
        heights = [case.image.shape[0] / case.image.shape[1] for case in cases]
        size = (12.5, 2.6 * sum(heights) + 1.1)
        figure, axes = new_figure(len(cases), len(columns), size, height_ratios=heights)
        for row, case, height in zip(axes, cases, heights, strict=True):
            perturbation = amplify_perturbation(case.image, case.adversarial, factor)
            for ax, image in zip(row[:3], (case.image, perturbation, case.adversarial), strict=True):
                ax.imshow(image, interpolation="nearest")
            for ax, output in zip(row[3:], (case.clean_output, case.adversarial_output), strict=True):
                _draw_output(ax, output)
                ax.set_box_aspect(height)
            for ax in row:
                hide_ticks(ax)
            row[0].set_ylabel(case.image_id, fontsize=8)
            row[1].set_xlabel(case.caption, fontsize=8)
        for ax, name in zip(axes[0], columns, strict=True):
            ax.set_title(name)
        set_title(figure, title)
        if handles := class_patches(_predicted_labels(cases)):
            figure.legend(handles=handles, loc="outside lower center", ncols=7, frameon=False, fontsize=8)
        return save_figure(figure, path)


def _draw_output(ax: Axes, output: Output) -> None:
    """A label map in VOC's palette, or bars of the highest probabilities."""
    if isinstance(output, np.ndarray):
        ax.imshow(colorize_labels(output), interpolation="nearest")
        return
    bars = sorted(output.items(), key=lambda item: -item[1])[:TOP_LABELS][::-1]  # barh draws from the bottom up
    ax.barh([name for name, _ in bars], [probability for _, probability in bars], color="0.8")
    ax.set_xlim(0, 1)
    for index, (name, probability) in enumerate(bars):
        ax.text(0.02, index, f"{name} {probability:.2f}", va="center", fontsize=8)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _predicted_labels(cases: Sequence[AttackedCase]) -> list[np.ndarray]:
    outputs = [output for case in cases for output in (case.clean_output, case.adversarial_output)]
    return [output for output in outputs if isinstance(output, np.ndarray)]
