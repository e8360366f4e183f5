"""Resize decoded images and masks to the size at which a model sees them, with OpenCV."""

import cv2
import numpy as np

from vocctl.resizing import averages_areas, model_input_size


def resize_to_model(image: np.ndarray, size: int) -> np.ndarray:
    """image: (H, W, 3) uint8. Returns it at model_input_size, averaged over areas or interpolated (averages_areas)."""
    image_size = image.shape[0], image.shape[1]
    height, width = model_input_size(*image_size, size)
    interpolation = cv2.INTER_AREA if averages_areas(image_size, (height, width)) else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=interpolation)


def resize_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """mask: (H, W) uint8. Returns (height, width) uint8, the label of the nearest pixel."""
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def disable_opencv_threads() -> None:
    """Run OpenCV in the calling thread only.

    Data loader workers already use every core, and OpenCV's threads do not survive the fork that starts a worker.
    """
    cv2.setNumThreads(0)
