"""Paints a sketch into an image and returns the pixels that it covers.

The canvas is SUPERSAMPLING times as large as the final image; downsampling it smooths the edges. Light comes from the
upper left.
"""

from itertools import pairwise

import cv2
import numpy as np

from vocctl.data.shapes.fills import Fill, second_color_weight, tone
from vocctl.data.shapes.sketch import Sketch

SUPERSAMPLING = 2
_SHIFT = 4  # fractional bits of cv2's fixed-point coordinates: 1/16 pixel


def _to_pixels(parts: tuple[np.ndarray, ...], matrix: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Map polygons to pixels: all their points, (N, 2) float, and each polygon in cv2's fixed-point coordinates."""
    points = (parts[0] if len(parts) == 1 else np.concatenate(parts)) @ matrix[:, :2].T + matrix[:, 2]
    fixed = np.rint(points * (1 << _SHIFT)).astype(np.int32)
    ends = np.cumsum([0, *map(len, parts)]).tolist()
    return points, [fixed[start:end] for start, end in pairwise(ends)]


def _rasterize(fixed: list[np.ndarray], left: int, top: int, width: int, height: int) -> np.ndarray:
    """Union of the polygons in a window of the canvas, (height, width) uint8, 255 inside."""
    mask = np.zeros((height, width), np.uint8)
    corner = np.array([left << _SHIFT, top << _SHIFT], np.int32)
    for part in fixed:
        cv2.fillPoly(mask, [part - corner], 255, cv2.LINE_AA, _SHIFT)
    return mask


def _roundness(mask: np.ndarray, strength: float) -> np.ndarray:
    """Shading of a round body with this mask: about -strength to strength, in the shape of the mask."""
    reach = max(2, int(min(mask.shape) * 0.22))
    bordered = cv2.copyMakeBorder(mask, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    height = cv2.blur(bordered.astype(np.float32), (2 * reach + 1, 2 * reach + 1))
    height = cv2.blur(height, (reach | 1, reach | 1))
    step = max(1, reach // 2)
    rows, columns = mask.shape
    low, high = reach - step, reach + step
    toward_light, from_light = (
        height[high : high + rows, high : high + columns],
        height[low : low + rows, low : low + columns],
    )
    return np.asarray((toward_light - from_light) * np.float32(strength / 255))


def _paint_filled(
    image: np.ndarray, fill: Fill, points: np.ndarray, fixed: list[np.ndarray], to_units: np.ndarray
) -> None:
    """Paint a fill with pattern, roundness or opacity, in place. points, fixed: from _to_pixels."""
    left, top = (int(low) - 2 for low in np.floor(points.min(0)))
    right, bottom = (int(high) + 3 for high in np.ceil(points.max(0)))
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, image.shape[1]), min(bottom, image.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    mask = _rasterize(fixed, left, top, right - left, bottom - top)
    visible = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    color = np.array(fill.color, np.float32)
    if fill.pattern != "plain":
        px, py = np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32))
        (a, b, c), (d, e, f) = to_units.tolist()  # plain floats keep the grids float32
        weight = second_color_weight(fill, a * px + b * py + c, d * px + e * py + f)[..., None]
        color = color + (np.array(fill.second, np.float32) - color) * weight
    if fill.roundness:
        light = _roundness(mask, fill.roundness)[visible][..., None]
        bright, dark = np.clip(light, 0, 1) * 0.55, 1 + np.minimum(light, 0) * 0.75
        color = (color + (255 - color) * bright) * dark
    cover = mask[visible][..., None].astype(np.float32) * (fill.opacity / 255)
    under = image[y0:y1, x0:x1].astype(np.float32)
    image[y0:y1, x0:x1] = (under + (color - under) * cover).astype(np.uint8)


def _is_plain(fill: Fill) -> bool:
    return fill.pattern == "plain" and not fill.roundness and fill.opacity == 1


def paint(image: np.ndarray, sketch: Sketch, matrix: np.ndarray, *, half_line_width: float) -> np.ndarray:
    """Paint the sketch into the image, in place. Returns its mask, (H, W) uint8, 255 inside, without unlabeled shapes.

    image: (H, W, 3) uint8. matrix: (2, 3), units of the sketch to pixels. half_line_width: half
    the width, in pixels, of an outline of relative width 1.
    """
    covered = np.zeros(image.shape[:2], np.uint8)
    to_units = cv2.invertAffineTransform(matrix.astype(np.float64))
    for shape in sketch.shapes:
        points, fixed = _to_pixels(shape.parts, matrix)
        if shape.outline * half_line_width > 0.4:
            thickness = max(1, round(2 * half_line_width * shape.outline))
            cv2.polylines(image, fixed, True, tone(shape.fill.color, 0.42), thickness, cv2.LINE_AA, _SHIFT)
            if shape.in_mask:
                cv2.polylines(covered, fixed, True, 255, thickness, cv2.LINE_AA, _SHIFT)
        plain = _is_plain(shape.fill)
        if not plain:
            _paint_filled(image, shape.fill, points, fixed, to_units)
        for part in fixed:
            if plain:
                cv2.fillPoly(image, [part], shape.fill.color, cv2.LINE_AA, _SHIFT)
            if shape.in_mask:
                cv2.fillPoly(covered, [part], 255, cv2.LINE_AA, _SHIFT)
    return covered
