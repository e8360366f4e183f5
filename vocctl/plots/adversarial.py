"""Clean image, perturbation, adversarial image, and what the model says before and after, side by side."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch

from vocctl.labels import IGNORE, PALETTE, SEG_CLASSES
from vocctl.plots.style import put_title, quiet_style, save_figure

COLORS = np.array(PALETTE, dtype=np.uint8)  # (256, 3)
SHOWN = 5  # labels of a classifier


@dataclass(frozen=True)
class AttackedCase:
    """before, after: label maps (H, W) of a segmenter, or probabilities by class name of a classifier."""

    image_id: str
    image: np.ndarray  # (H, W, 3) uint8
    adv: np.ndarray  # the same
    before: np.ndarray | dict[str, float]
    after: np.ndarray | dict[str, float]
    about: str  # PSNR and norms


def amplification(cases: list[AttackedCase]) -> int:
    """By how much the changes of the cases may be multiplied to fill the gray scale; a power of two, at least 1.

    One channel of a hundred may leave it, so that a change without a bound is seen for its few large values.
    """
    changes = np.concatenate([np.abs(case.adv.astype(int) - case.image.astype(int)).ravel() for case in cases])
    large = np.quantile(changes, 0.99, method="lower") or changes.max()
    return int(2 ** np.floor(np.log2(127 / large))) if 0 < large <= 127 else 1


def amplified(image: np.ndarray, adv: np.ndarray, factor: int) -> np.ndarray:
    """(H, W, 3) uint8: gray where nothing changed, factor times the change around it."""
    return np.clip(128 + factor * (adv.astype(int) - image.astype(int)), 0, 255).astype(np.uint8)


def draw_attacked(cases: list[AttackedCase], path: Path, *, title: str) -> Path:
    """One row a case, five columns; the factor of the perturbation is written over its column."""
    factor = amplification(cases)
    heads = ("clean", f"perturbation x {factor}", "adversarial", "output, clean", "output, adversarial")
    with quiet_style():
        heights = [case.image.shape[0] / case.image.shape[1] for case in cases]
        figure, axes = plt.subplots(
            len(cases), 5, figsize=(12.5, 2.6 * sum(heights) + 1.1), layout="constrained", squeeze=False,
            height_ratios=heights,
        )  # fmt: skip
        for row, case in zip(axes, cases, strict=True):
            for ax, picture in zip(row, (case.image, amplified(case.image, case.adv, factor), case.adv), strict=False):
                ax.imshow(picture, interpolation="nearest")
            for ax, output in zip(row[3:], (case.before, case.after), strict=True):
                _draw_output(ax, output)
                ax.set_box_aspect(case.image.shape[0] / case.image.shape[1])
            for ax in row:
                ax.set(xticks=[], yticks=[])
                ax.grid(False)
            row[0].set_ylabel(case.image_id, fontsize=8)
            row[1].set_xlabel(case.about, fontsize=8)
        for ax, name in zip(axes[0], heads, strict=True):
            ax.set_title(name)
        put_title(figure, title)
        if handles := _legend(cases):
            figure.legend(handles=handles, loc="outside lower center", ncols=7, frameon=False, fontsize=8)
        return save_figure(figure, path)


def _draw_output(ax: plt.Axes, output: np.ndarray | dict[str, float]) -> None:
    if isinstance(output, np.ndarray):
        ax.imshow(COLORS[output], interpolation="nearest")
        return
    ranked = sorted(output.items(), key=lambda pair: -pair[1])[:SHOWN]
    names, probs = [name for name, _ in ranked][::-1], [prob for _, prob in ranked][::-1]
    ax.barh(names, probs, color="0.8")
    ax.set_xlim(0, 1)
    for place, (name, prob) in enumerate(zip(names, probs, strict=True)):
        ax.text(0.02, place, f"{name} {prob:.2f}", va="center", fontsize=8)
    for side in ax.spines.values():
        side.set_visible(False)


def _legend(cases: list[AttackedCase]) -> list[Patch]:
    maps = [output for case in cases for output in (case.before, case.after) if isinstance(output, np.ndarray)]
    seen = sorted({int(label) for one in maps for label in np.unique(one)} - {IGNORE})
    return [Patch(facecolor=tuple(COLORS[label] / 255), edgecolor="0.5", label=SEG_CLASSES[label]) for label in seen]
