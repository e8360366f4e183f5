"""Random gray textures: fractal noise for fog, and frost, drawn in place of the published code's photographs of frost."""

from math import ceil

import cv2
import numpy as np

FROST_SIDE = 224  # pixels: shorter side at which frost is drawn, then enlarged
FROST_BRIGHTNESS = (0.48, 0.81)  # range of the mean of a texture, as in the five photographs of the published code
FROST_STD = 0.12  # of a texture's brightness, as there
FROST_COLOR = (0.89, 1.02, 1.09)  # red, green and blue for a brightness of 1: the mean of the photographs
CRYSTALS = 90  # in an image of 224 x 224 pixels
CRYSTAL_LENGTH = (15, 75)  # pixels
BRANCH_DISTANCE = 3.5  # pixels between the branches of a crystal
BRANCH_ANGLE = 60  # degrees: ice grows along the axes of a hexagon
SUBPIXEL_BITS = 4  # of the coordinates that OpenCV draws


def fractal_noise(
    height: int, width: int, *, period: float, decay: float, generator: np.random.Generator
) -> np.ndarray:
    """(H, W) float32, smallest value 0 and largest 1: the sum of octaves of smooth noise.

    Each octave is a grid of uniform numbers in [-1, 1], interpolated. period: distance of the first grid's points, in pixels;
    it is halved from octave to octave, down to one pixel, and the amplitude is divided by decay. The published code uses the
    diamond-square algorithm (Fournier, Fussell and Carpenter, Communications of the ACM 1982), which adds random numbers of
    the same periods and amplitudes, on a square map only. An image of one pixel is 0.
    """
    total, amplitude = np.zeros((height, width), np.float32), 1.0
    while period >= 1:
        rows, columns = (ceil(side / period) + 1 for side in (height, width))
        grid = generator.uniform(-1, 1, (rows, columns)).astype(np.float32)
        enlarged = cv2.resize(grid, (ceil(columns * period), ceil(rows * period)), interpolation=cv2.INTER_LINEAR)
        margin = int(period / 2)  # beyond the outermost points there is nothing to interpolate
        total += amplitude * enlarged[margin : margin + height, margin : margin + width]
        period, amplitude = period / 2, amplitude / decay
    total -= total.min()
    return total / max(float(total.max()), 1e-6)


def frost(height: int, width: int, scale: float, generator: np.random.Generator) -> np.ndarray:
    """(H, W, 3) float32 in [0, 1]: a window covered with frost. scale: as pixel_scale returns it.

    Crystals are drawn on cloudy ice. Brightness, contrast and color have the distribution of the photographs that the
    published code blends with images: a mean brightness that differs between textures, and a bluish white.
    """
    rows, columns = (max(round(side / scale), 1) for side in (height, width))
    ice = fractal_noise(rows, columns, period=FROST_SIDE / 2, decay=1.6, generator=generator)
    texture = ice + 1.5 * crystals(rows, columns, generator)
    brightness = generator.uniform(*FROST_BRIGHTNESS)
    texture = brightness + FROST_STD * (texture - texture.mean()) / max(float(texture.std()), 1e-6)
    texture = cv2.resize(texture.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(texture[:, :, None] * np.array(FROST_COLOR, np.float32), 0, 1)


def crystals(height: int, width: int, generator: np.random.Generator) -> np.ndarray:
    """(H, W) float32 in [0, 1]: fern-shaped crystals of random position, length, direction and brightness on black."""
    count = ceil(CRYSTALS * height * width / FROST_SIDE**2)
    canvas = np.zeros((height, width), np.uint8)
    layers = np.sort(generator.uniform(60, 255, 6))  # brightnesses, the brightest in front
    for brightness, number in zip(layers, np.bincount(np.arange(count) % len(layers)), strict=False):
        segments = [crystal(height, width, generator) for _ in range(number)]
        points = np.rint(np.concatenate(segments) * 2**SUBPIXEL_BITS).astype(np.int32)
        cv2.polylines(canvas, list(points), False, float(brightness), 1, cv2.LINE_AA, SUBPIXEL_BITS)
    return cv2.GaussianBlur(canvas, (0, 0), 0.6).astype(np.float32) / 255


def crystal(height: int, width: int, generator: np.random.Generator) -> np.ndarray:
    """(N, 2, 2) line segments of one crystal, as x and y of both ends: a stem, and branches on both sides that get shorter."""
    start = generator.uniform((0, 0), (width, height))
    angle, length = generator.uniform(0, 360), generator.uniform(*CRYSTAL_LENGTH)
    distances = np.arange(0, length, BRANCH_DISTANCE)
    roots = start + distances[:, None] * _direction(angle)
    reach = (length - distances)[:, None] * generator.uniform(0.15, 0.4)
    stem = np.stack([start, start + length * _direction(angle)])[None]
    sides = [
        np.stack([roots, roots + reach * _direction(angle + turn)], axis=1) for turn in (BRANCH_ANGLE, -BRANCH_ANGLE)
    ]
    return np.concatenate([stem, *sides])


def _direction(angle: float) -> np.ndarray:
    """(2,) unit vector. angle: in degrees."""
    return np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
