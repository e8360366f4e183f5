"""Elastic transform: an affine transform and local displacements (Simard et al., ICDAR 2003), of an image and its mask."""

import cv2
import numpy as np
from scipy.fft import dctn, idctn

from vocctl.data.corruptions.pixels import pixel_scale

# Strength and std of the displacements, largest shift of the affine transform's three points; in the paper's pixels. The
# published code states them as multiples of 244. Severities 1 and 2 are mainly affine, the others mainly local.
ELASTIC = ((488, 170.8, 24.4), (488, 19.52, 48.8), (12.2, 2.44, 4.88), (17.08, 2.44, 4.88), (29.28, 2.44, 4.88))
POINT_DISTANCE = 74  # of the three points from the center, along both axes, in the paper's pixels


def elastic_transform(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Transform an image; beyond its border it is reflected."""
    height, width = image.shape[:2]
    x, y = source_positions(height, width, severity, generator)
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def elastic_transform_mask(mask: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Transform a mask as the image of its size with the same generator: each pixel gets the label that moved there.

    mask: (H, W) uint8.
    """
    height, width = mask.shape
    x, y = source_positions(height, width, severity, generator)
    return cv2.remap(mask, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101)


def source_positions(
    height: int, width: int, severity: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """x and y, (H, W) float32 each: the position in the image that each pixel of the result shows.

    The displacements are smoothed uniform noise on the paper's pixels, enlarged to the image.
    """
    strength, std, largest_shift = ELASTIC[severity - 1]
    scale = pixel_scale(height, width)
    to_source = cv2.invertAffineTransform(_affine(height, width, scale, largest_shift, generator))
    grid = max(round(height / scale), 1), max(round(width / scale), 1)
    moved = []
    for position in np.indices((height, width), np.float32)[::-1]:  # x, then y
        coarse = strength * scale * smooth(generator.uniform(-1, 1, grid), std)
        moved.append(position + cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR))
    x, y = (row[0] * moved[0] + row[1] * moved[1] + row[2] for row in to_source)
    return x.astype(np.float32), y.astype(np.float32)


def _affine(height: int, width: int, scale: float, largest_shift: float, generator: np.random.Generator) -> np.ndarray:
    """(2, 3): the affine transform that moves three points around the center by up to largest_shift along each axis."""
    center = np.array([width - 1, height - 1]) / 2
    corners = np.array([[1, 1], [1, -1], [-1, -1]])
    points = center + scale * POINT_DISTANCE * corners
    shifted = points + scale * largest_shift * generator.uniform(-1, 1, corners.shape)
    return cv2.getAffineTransform(points.astype(np.float32), shifted.astype(np.float32))


def smooth(values: np.ndarray, std: float) -> np.ndarray:
    """A Gaussian filter of an array that is reflected at its border, for any std in the time of a small one.

    values: (H, W). std: in elements. The cosine transform's functions have that reflection, and the filter multiplies
    each of them by exp(-(std frequency)^2 / 2).
    """
    rows, columns = (np.exp(-0.5 * (std * np.pi * np.arange(length) / length) ** 2) for length in values.shape)
    return idctn(dctn(values) * rows[:, None] * columns)
