"""Image, truth, prediction and errors side by side, in VOC's palette."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch

from vocctl.labels import IGNORE, PALETTE, SEG_CLASSES
from vocctl.plots.style import put_title, quiet_style, save_figure

COLORS = np.array(PALETTE, dtype=np.uint8)  # (256, 3)
# what a pixel can be, with colors that the color-blind part: right, a missed object, an invented one, a mistaken class
ERROR_COLORS = {
    "right": (235, 235, 235),
    "object missed": (0, 114, 178),
    "object invented": (230, 159, 0),
    "class mistaken": (204, 51, 102),
    "border, not scored": (150, 150, 150),
}


@dataclass(frozen=True)
class Case:
    image_id: str
    score: float  # mean IoU of this image, in [0, 1]
    image: np.ndarray  # (H, W, 3) uint8
    truth: np.ndarray  # (H, W) labels
    predicted: np.ndarray  # (H, W) labels


def palette_image(labels: np.ndarray) -> np.ndarray:
    """(H, W) labels to (H, W, 3) in VOC's colors."""
    return COLORS[labels]


def error_map(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """(H, W, 3): each pixel in the color of its verdict."""
    colors = np.array(list(ERROR_COLORS.values()), dtype=np.uint8)
    verdict = np.zeros(truth.shape, dtype=np.intp)
    wrong = truth != predicted
    verdict[wrong & (predicted == 0)] = 1
    verdict[wrong & (truth == 0)] = 2
    verdict[wrong & (truth > 0) & (predicted > 0)] = 3
    verdict[truth == IGNORE] = 4
    return colors[verdict]


def blended(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: the image, half of each object's color over it; the background stays as it is."""
    mixed = (image.astype(np.uint16) + COLORS[labels]) // 2
    return np.where((labels > 0)[:, :, None], mixed, image).astype(np.uint8)


def draw_cases(cases: list[Case], path: Path, *, title: str) -> Path:
    """One row a case, four columns; below, the legend of the classes that occur and of the error map."""
    columns = ("image", "truth", "prediction", "errors")
    with quiet_style():
        heights = [case.image.shape[0] / case.image.shape[1] for case in cases]
        figure, axes = plt.subplots(
            len(cases),
            4,
            figsize=(10, 2.5 * sum(heights) + 0.9),
            layout="constrained",
            squeeze=False,
            height_ratios=heights,
        )
        for row, case in zip(axes, cases, strict=True):
            pictures = (
                case.image,
                palette_image(case.truth),
                palette_image(case.predicted),
                error_map(case.truth, case.predicted),
            )
            for ax, picture in zip(row, pictures, strict=True):
                ax.imshow(picture, interpolation="nearest")
                ax.set(xticks=[], yticks=[])
                ax.grid(False)
            row[0].set_ylabel(f"{case.image_id}\nmean IoU {100 * case.score:.0f} %", fontsize=8)
        for ax, name in zip(axes[0], columns, strict=True):
            ax.set_title(name)
        put_title(figure, title)
        figure.legend(handles=_legend(cases), loc="outside lower center", ncols=6, frameon=False, fontsize=8)
        return save_figure(figure, path)


def _legend(cases: list[Case]) -> list[Patch]:
    seen = np.unique(np.concatenate([np.unique(labels) for case in cases for labels in (case.truth, case.predicted)]))
    classes = [
        Patch(facecolor=_shade(COLORS[label]), edgecolor="0.5", label=SEG_CLASSES[label])
        for label in seen
        if label != IGNORE
    ]
    if IGNORE in seen:
        classes.append(Patch(facecolor=_shade(COLORS[IGNORE]), edgecolor="0.5", label="border"))
    verdicts = [
        Patch(facecolor=_shade(c), edgecolor="0.5", label=f"errors: {name}") for name, c in ERROR_COLORS.items()
    ]
    return classes + verdicts


def _shade(color: Sequence[int]) -> tuple[float, float, float]:
    return color[0] / 255, color[1] / 255, color[2] / 255
