"""How a image of any size is brought to the size that a model sees: the sides, and the weights of averaging down.

The cache resizes pixels with OpenCV; an attack differentiates through the same averaging. Both ask here.
"""

import numpy as np

STRIDE = 32  # what the encoders halve five times
LONGEST = 4  # times the shorter side; a longer image is squeezed


def model_input_size(height: int, width: int, size: int) -> tuple[int, int]:
    """(H, W) a model sees: the shorter side is size, both are multiples of 32, the longer at most four times size."""
    scale = size / min(height, width)
    sides = [min(round(side * scale / STRIDE) * STRIDE, LONGEST * size) for side in (height, width)]
    return max(sides[0], size), max(sides[1], size)


def area_weights(source: int, target: int) -> np.ndarray:
    """(target, source) float32: each output is the mean of the inputs it covers, those at its ends in part.

    The same as OpenCV's INTER_AREA where target <= source, along one side.
    """
    scale = source / target
    starts = np.arange(target)[:, None] * scale
    pixels = np.arange(source)[None]
    covered = np.minimum(pixels + 1, starts + scale) - np.maximum(pixels, starts)
    return (covered.clip(min=0) / scale).astype(np.float32)
