"""Blur: defocus, frosted glass, motion and zoom. Radii, standard deviations and distances are scaled to the image."""

from math import ceil

import cv2
import numpy as np

from vocctl.data.corruptions.pixels import pixel_scale

DEFOCUS = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))  # radius of the disk, std that softens its edge
GLASS = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))  # std of the blur, distance, rounds
MOTION = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))  # half the length of the trail, its std
MOTION_ANGLE = 45  # degrees: the direction is uniform in [-45, 45]
ZOOM = ((11, 0.01), (16, 0.01), (11, 0.02), (13, 0.02), (11, 0.03))  # number of factors 1, 1 + step, ..., and step


def defocus_blur(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Average over a disk."""
    radius, edge = DEFOCUS[severity - 1]
    scale = pixel_scale(*image.shape[:2])
    return cv2.filter2D(image, -1, disk_kernel(radius * scale, edge * scale))


def disk_kernel(radius: float, edge: float) -> np.ndarray:
    """(S, S) float32 with sum 1: a disk whose edge is one pixel wide, softened by a Gaussian. radius, edge: in pixels."""
    reach = ceil(radius + 0.5 + 3 * edge)
    offsets = np.arange(-reach, reach + 1)
    disk = np.clip(radius + 0.5 - np.hypot(offsets[:, None], offsets), 0, 1).astype(np.float32)
    softened = cv2.GaussianBlur(disk, (0, 0), edge, borderType=cv2.BORDER_CONSTANT)
    return softened / softened.sum()


def glass_blur(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Blur, exchange each pixel with a random neighbor, and blur again. The distance is at least one pixel."""
    std, distance, rounds = GLASS[severity - 1]
    height, width = image.shape[:2]
    scale = pixel_scale(height, width)
    order = exchange_neighbors(height, width, max(round(distance * scale), 1), rounds, generator)
    blurred = cv2.GaussianBlur(image, (0, 0), std * scale)
    exchanged = blurred.reshape(-1, 3)[order].reshape(image.shape)
    return cv2.GaussianBlur(exchanged, (0, 0), std * scale)


def exchange_neighbors(
    height: int, width: int, distance: int, rounds: int, generator: np.random.Generator
) -> np.ndarray:
    """(H * W,) int32: the pixel that each pixel receives, after every pixel was exchanged with a random neighbor.

    distance: a neighbor's row and column differ by -distance to distance - 1, as in the published code; beyond the border,
    the nearest pixel in the image takes its place.

    The published code goes through the pixels one by one, and copies the neighbor over the pixel, although its comment says
    swap. Here, pixels that are 2 * distance apart along an axis are exchanged at once, because they have no neighbor in
    common; the groups follow each other in random order. Pixels move as far as in one pass after the other.
    """
    step = 2 * distance
    rows, columns = np.indices((height, width), dtype=np.int32, sparse=True)
    pixels = rows * width + columns
    order = np.arange(height * width, dtype=np.int32)
    for _ in range(rounds):
        row_offsets, column_offsets = generator.integers(-distance, distance, (2, height, width), dtype=np.int32)
        neighbor_rows = np.clip(rows + row_offsets, 0, height - 1)
        neighbors = neighbor_rows * width + np.clip(columns + column_offsets, 0, width - 1)
        for group in generator.permutation(min(step, height) * step):
            start = np.s_[group // step :: step, group % step :: step]
            here, there = pixels[start].ravel(), neighbors[start].ravel()
            order[here], order[there] = order[there], order[here]
    return order


def motion_blur(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Average along a straight trail, brightest at its start.

    The published code lets the trail start at the pixel, which moves the image by up to 11 pixels. Here the trail's center
    of mass is at the pixel, so that the masks of segmenters stay in place.
    """
    radius, std = MOTION[severity - 1]
    scale = pixel_scale(*image.shape[:2])
    angle = generator.uniform(-MOTION_ANGLE, MOTION_ANGLE)
    return cv2.filter2D(image, -1, motion_kernel(radius * scale, std * scale, angle))


def motion_kernel(radius: float, std: float, angle: float) -> np.ndarray:
    """(S, S) float32 with sum 1: points on a line of length 2 * radius, weighted by half of a Gaussian from its start.

    radius, std: in pixels. angle: of the line, in degrees. Its center of mass is the kernel's center.
    """
    distances = np.arange(2 * ceil(radius) + 1)
    weights = np.exp(-0.5 * (distances / std) ** 2)
    weights /= weights.sum()
    offsets = distances - (weights * distances).sum()
    reach = ceil(np.abs(offsets).max()) + 1
    x, y = (offsets * function(np.deg2rad(angle)) + reach for function in (np.cos, np.sin))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for row in (0, 1):  # each point is divided among the four pixels around it
        for column in (0, 1):
            fraction = np.abs(1 - row - (y - top)) * np.abs(1 - column - (x - left))
            np.add.at(kernel, (top + row, left + column), weights * fraction)
    return kernel.astype(np.float32)


def zoom_blur(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Average the image and its copies that are enlarged about the center. The original counts twice, as published."""
    count, step = ZOOM[severity - 1]
    height, width = image.shape[:2]
    total = image.astype(np.float32) * 2
    for factor in 1 + step * np.arange(1, count):
        shift = (1 - factor) * (np.array([width, height]) - 1) / 2
        matrix = np.array([[factor, 0, shift[0]], [0, factor, shift[1]]])
        cv2.accumulate(cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101), total)
    return np.rint(total / (count + 1)).astype(np.uint8)
