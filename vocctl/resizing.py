"""The size at which a model sees an image, and the weights of downscaling by averaging.

The data cache resizes pixels with OpenCV; an attack differentiates through the same resizing. Both use this module.
"""

import numpy as np

STRIDE = 32  # pixels: encoders halve the resolution five times
MAX_ASPECT_RATIO = 4  # a longer image is squeezed to this ratio


def model_input_size(height: int, width: int, size: int) -> tuple[int, int]:
    """(H, W) at which a model of this input size sees an image of height x width pixels.

    The shorter side becomes size; both sides are multiples of STRIDE; the longer side is at most MAX_ASPECT_RATIO * size.
    """
    scale = size / min(height, width)
    sides = [min(round(side * scale / STRIDE) * STRIDE, MAX_ASPECT_RATIO * size) for side in (height, width)]
    return max(sides[0], size), max(sides[1], size)


def averages_areas(image_size: tuple[int, int], input_size: tuple[int, int]) -> bool:
    """Whether resizing from image_size to input_size, (H, W) each, averages over areas; else it interpolates bilinearly.

    The height decides. Where the height shrinks and the width grows it interpolates: OpenCV's INTER_AREA is an average
    only if neither side grows, otherwise an interpolation of its own.
    """
    return input_size[0] < image_size[0] and input_size[1] <= image_size[1]


def area_weights(source: int, target: int) -> np.ndarray:
    """(target, source) float32: each output pixel is the mean of the input pixels that it covers, weighted by overlap.

    Equal to OpenCV's INTER_AREA along one side where target <= source.
    """
    scale = source / target
    starts = np.arange(target)[:, None] * scale
    pixels = np.arange(source)[None]
    overlap = np.minimum(pixels + 1, starts + scale) - np.maximum(pixels, starts)
    return (overlap.clip(min=0) / scale).astype(np.float32)
