"""Colors of label maps, error maps and overlays. numpy only: predict needs these without matplotlib."""

import numpy as np

from vocctl.labels import IGNORE, PALETTE

LABEL_COLORS = np.array(PALETTE, dtype=np.uint8)  # (256, 3)
FALSE_NEGATIVE, FALSE_POSITIVE, WRONG_CLASS = "false negative", "false positive", "wrong class"
# Of a pixel. False negative: an object predicted as background. False positive: background predicted as an object. The
# colors are distinct for color-blind readers.
ERROR_COLORS = {
    "correct": (235, 235, 235),
    FALSE_NEGATIVE: (0, 114, 178),
    FALSE_POSITIVE: (230, 159, 0),
    WRONG_CLASS: (204, 51, 102),
    "void, not scored": (150, 150, 150),
}


def colorize_labels(labels: np.ndarray) -> np.ndarray:
    """Label map (H, W) to (H, W, 3) uint8 in VOC's palette."""
    colors: np.ndarray = LABEL_COLORS[labels]
    return colors


def error_masks(true_labels: np.ndarray, predicted_labels: np.ndarray) -> dict[str, np.ndarray]:
    """The pixels (H, W) bool of each kind of error; void pixels (255) are in none. Both label maps are (H, W)."""
    wrong = (true_labels != predicted_labels) & (true_labels != IGNORE)
    return {
        FALSE_NEGATIVE: wrong & (predicted_labels == 0),
        FALSE_POSITIVE: wrong & (true_labels == 0),
        WRONG_CLASS: wrong & (true_labels > 0) & (predicted_labels > 0),
    }


def error_map(true_labels: np.ndarray, predicted_labels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: each pixel in its color of ERROR_COLORS. Both label maps are (H, W)."""
    colors = np.full((*true_labels.shape, 3), ERROR_COLORS["correct"], np.uint8)
    for name, mask in error_masks(true_labels, predicted_labels).items():
        colors[mask] = ERROR_COLORS[name]
    colors[true_labels == IGNORE] = ERROR_COLORS["void, not scored"]
    return colors


def overlay_labels(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Blend each object's color into the image with weight 1/2; the background is not changed.

    image: (H, W, 3) uint8. labels: (H, W). Returns (H, W, 3) uint8.
    """
    mixed = (image.astype(np.uint16) + LABEL_COLORS[labels]) // 2
    return np.where((labels > 0)[:, :, None], mixed, image).astype(np.uint8)
