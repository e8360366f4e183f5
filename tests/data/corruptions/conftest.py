"""Images with the statistics of photographs, and shapes that are hard for image code."""

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="session")
def images() -> list[np.ndarray]:
    """Three images (224, 300, 3) uint8: colors with less change the smaller the distance, and a dark square."""
    generator = np.random.default_rng(0)
    images = []
    for _ in range(3):
        image = np.full((224, 300, 3), 0.4, np.float32)
        for octave in range(6):
            values = generator.uniform(-1, 1, (7 * 2**octave, 9 * 2**octave, 3)).astype(np.float32)
            image += 0.3 / 2**octave * cv2.resize(values, (300, 224), interpolation=cv2.INTER_CUBIC)
        image[60:160, 90:190] *= 0.3
        images.append((image.clip(0, 1) * 255).astype(np.uint8))
    return images
