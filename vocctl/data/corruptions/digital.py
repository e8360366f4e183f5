"""Contrast, coarse pixels and JPEG compression."""

import cv2
import numpy as np

from vocctl.data.corruptions.pixels import pixel_scale, to_levels, to_unit

CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)  # of each side of the paper's images
JPEG_QUALITY = (25, 18, 15, 10, 7)  # from 1 to 100, of libjpeg


def contrast(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Move every value toward the mean of its channel over the image."""
    pixels = to_unit(image)
    mean = pixels.mean(axis=(0, 1), keepdims=True)
    return to_levels((pixels - mean) * CONTRAST[severity - 1] + mean)


def pixelate(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Average over square blocks. Their side is scaled to the image; one below one pixel changes nothing.

    The published code states the blocks as a fraction of the side: 1 / 0.6 to 1 / 0.25 pixels of its images.
    """
    height, width = image.shape[:2]
    side = max(pixel_scale(height, width) / PIXELATE[severity - 1], 1)
    small = max(round(width / side), 1), max(round(height / side), 1)
    averaged = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(averaged, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def jpeg_compression(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Encode as JPEG and decode. Its blocks have 8 x 8 pixels of the image at its own size."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY[severity - 1]]
    _, content = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
    decoded = cv2.imdecode(content, cv2.IMREAD_COLOR)
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)  # type: ignore[arg-type]  # None is for corrupt content only
