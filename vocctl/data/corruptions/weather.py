"""Weather: snow, frost, fog and brightness. Flakes, trails and textures are scaled to the image."""

from math import ceil

import cv2
import numpy as np

from vocctl.data.corruptions import textures
from vocctl.data.corruptions.blur import motion_kernel
from vocctl.data.corruptions.pixels import pixel_scale, to_levels, to_unit

SNOW = (  # mean and std of the flakes, their size, smallest value, half the trail's length, its std, weight of the image
    (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)
SNOW_ANGLE = (-135, -45)  # degrees: range of the direction in which flakes fall
FROST = ((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))  # weights of the image and of the frost
FOG = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))  # density, decay of the fractal noise
FOG_PERIOD = 128  # pixels between the points of the coarsest octave
BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)


def snow(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Whiten the image, and add flakes with trails, and the same flakes turned by 180 degrees."""
    mean, std, flake, smallest, radius, trail, weight = SNOW[severity - 1]
    height, width = image.shape[:2]
    scale = pixel_scale(height, width)
    size = max(flake * scale, 1)
    noise = mean + std * generator.standard_normal((ceil(height / size), ceil(width / size)), dtype=np.float32)
    enlarged = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
    flakes = np.where(enlarged < smallest, 0, np.minimum(enlarged, 1))
    angle = generator.uniform(*SNOW_ANGLE)
    trails = cv2.filter2D(flakes, -1, motion_kernel(radius * scale, trail * scale, angle))[:, :, None]
    pixels = to_unit(image)
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[:, :, None]
    whitened = weight * pixels + (1 - weight) * np.maximum(pixels, 1.5 * gray + 0.5)
    return to_levels(whitened + trails + trails[::-1, ::-1])


def frost(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Blend with frost. The published code takes it from six photographs; here it is drawn, see textures.py."""
    image_weight, frost_weight = FROST[severity - 1]
    height, width = image.shape[:2]
    texture = textures.frost(height, width, pixel_scale(height, width), generator)
    return to_levels(image_weight * to_unit(image) + frost_weight * texture)


def fog(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Add fractal noise, then scale to the image's own largest value."""
    density, decay = FOG[severity - 1]
    height, width = image.shape[:2]
    period = FOG_PERIOD * pixel_scale(height, width)
    # the published code divides the range of its random numbers by the decay, and their factor, too
    noise = textures.fractal_noise(height, width, period=period, decay=decay**2, generator=generator)
    pixels = to_unit(image)
    largest = pixels.max()
    return to_levels((pixels + density * noise[:, :, None]) * largest / (largest + density))


def brightness(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Raise V in the HSV color space. Hue and saturation stay, so that the channels grow in proportion; black becomes gray."""
    pixels = to_unit(image)
    value = pixels.max(axis=2, keepdims=True)
    brighter = np.minimum(value + BRIGHTNESS[severity - 1], 1)
    return to_levels(np.where(value > 0, pixels * brighter / np.maximum(value, 1e-6), brighter))
