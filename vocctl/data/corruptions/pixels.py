"""Pixel values as levels and as fractions, and the length of the paper's pixel in an image of another size."""

import numpy as np

from vocctl.resizing import MAX_ASPECT_RATIO

PAPER_SIDE = 224  # pixels: height and width of the images that the paper's parameters are for


def pixel_scale(height: int, width: int) -> float:
    """Side of one of the paper's pixels, in pixels of an image of this size.

    It is the shorter side divided by 224, so that a model, which resizes the shorter side to its input size, sees the same
    blur in a large and in a small image. If the longer side is more than four times as long, a quarter of it counts in
    place of the shorter side: a model squeezes such an image, too (see resizing.py).
    """
    return max(min(height, width), max(height, width) / MAX_ASPECT_RATIO) / PAPER_SIDE


def to_unit(image: np.ndarray) -> np.ndarray:
    """Levels 0 to 255 as float32 in [0, 1]. image: (H, W, 3) uint8."""
    return image.astype(np.float32) / 255


def to_levels(values: np.ndarray) -> np.ndarray:
    """Values as uint8 levels: clipped to [0, 1], then rounded. values: (H, W, 3) float."""
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
