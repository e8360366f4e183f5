"""Paints a sketch into an image, and says which pixels it covered.

Everything happens at SUPERSAMPLING times the size of the final picture, which smooths the edges when it is reduced.
Light comes from the upper left.
"""

from itertools import pairwise

import cv2
import numpy as np

from vocctl.data.shapes.fills import Fill, pattern_share, tone
from vocctl.data.shapes.sketch import Sketch

SUPERSAMPLING = 2
_SHIFT = 4  # cv2 takes fixed-point coordinates: 1/16 pixel


def _landed(parts: tuple[np.ndarray, ...], matrix: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """All points in pixels, (N, 2) float, and the parts again as cv2's fixed-point integers."""
    points = (parts[0] if len(parts) == 1 else np.concatenate(parts)) @ matrix[:, :2].T + matrix[:, 2]
    fixed = np.rint(points * (1 << _SHIFT)).astype(np.int32)
    ends = np.cumsum([0, *map(len, parts)]).tolist()
    return points, [fixed[start:end] for start, end in pairwise(ends)]


def _stamp(fixed: list[np.ndarray], left: int, top: int, width: int, height: int) -> np.ndarray:
    """The union of the parts within a frame, (height, width) uint8."""
    mask = np.zeros((height, width), np.uint8)
    corner = np.array([left << _SHIFT, top << _SHIFT], np.int32)
    for part in fixed:
        cv2.fillPoly(mask, [part - corner], 255, cv2.LINE_AA, _SHIFT)
    return mask


def _roundness(mask: np.ndarray, strength: float) -> np.ndarray:
    """Light on a round body with this outline: about -strength .. strength, the shape of mask."""
    reach = max(2, int(min(mask.shape) * 0.22))
    bordered = cv2.copyMakeBorder(mask, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    height = cv2.blur(bordered.astype(np.float32), (2 * reach + 1, 2 * reach + 1))
    height = cv2.blur(height, (reach | 1, reach | 1))
    step = max(1, reach // 2)
    rows, columns = mask.shape
    low, high = reach - step, reach + step
    towards, away = height[high : high + rows, high : high + columns], height[low : low + rows, low : low + columns]
    return np.asarray((towards - away) * np.float32(strength / 255))


def _rich(image: np.ndarray, fill: Fill, points: np.ndarray, fixed: list[np.ndarray], to_units: np.ndarray) -> None:
    """Fills a shape with pattern, roundness or opacity, in place. points, fixed: as _landed gives them."""
    left, top = (int(low) - 2 for low in np.floor(points.min(0)))
    right, bottom = (int(high) + 3 for high in np.ceil(points.max(0)))
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, image.shape[1]), min(bottom, image.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    mask = _stamp(fixed, left, top, right - left, bottom - top)
    seen = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    color = np.array(fill.color, np.float32)
    if fill.pattern != "plain":
        px, py = np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32))
        (a, b, c), (d, e, f) = to_units.tolist()  # plain floats keep the grids float32
        share = pattern_share(fill, a * px + b * py + c, d * px + e * py + f)[..., None]
        color = color + (np.array(fill.second, np.float32) - color) * share
    if fill.roundness:
        light = _roundness(mask, fill.roundness)[seen][..., None]
        bright, dark = np.clip(light, 0, 1) * 0.55, 1 + np.minimum(light, 0) * 0.75
        color = (color + (255 - color) * bright) * dark
    cover = mask[seen][..., None].astype(np.float32) * (fill.opacity / 255)
    under = image[y0:y1, x0:x1].astype(np.float32)
    image[y0:y1, x0:x1] = (under + (color - under) * cover).astype(np.uint8)


def _plain(fill: Fill) -> bool:
    return fill.pattern == "plain" and not fill.roundness and fill.opacity == 1


def paint(image: np.ndarray, sketch: Sketch, matrix: np.ndarray, *, line: float) -> np.ndarray:
    """Paints in place; returns what was covered, (H, W) uint8, 255 inside.

    image: (H, W, 3) uint8. matrix: (2, 3), units of the sketch to pixels. line: width of an outline, in pixels.
    """
    covered = np.zeros(image.shape[:2], np.uint8)
    to_units = cv2.invertAffineTransform(matrix.astype(np.float64))
    for shape in sketch.shapes:
        points, fixed = _landed(shape.parts, matrix)
        if shape.outline * line > 0.4:
            thickness = max(1, round(2 * line * shape.outline))
            cv2.polylines(image, fixed, True, tone(shape.fill.color, 0.42), thickness, cv2.LINE_AA, _SHIFT)
            if shape.counts:
                cv2.polylines(covered, fixed, True, 255, thickness, cv2.LINE_AA, _SHIFT)
        plain = _plain(shape.fill)
        if not plain:
            _rich(image, shape.fill, points, fixed, to_units)
        for part in fixed:
            if plain:
                cv2.fillPoly(image, [part], shape.fill.color, cv2.LINE_AA, _SHIFT)
            if shape.counts:
                cv2.fillPoly(covered, [part], 255, cv2.LINE_AA, _SHIFT)
    return covered
