"""One picture of the drawn data set: painted from far to near, and the masks that follow.

Masks as in VOC: SegmentationClass holds labels, SegmentationObject the number of the object, and a band of IGNORE lies
two pixels wide along every outline. An object is `difficult` if it is far off, mostly hidden, or once in fifty times.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from vocctl.data.shapes.backgrounds import draw_background, horizon_of
from vocctl.data.shapes.painter import SUPERSAMPLING, paint
from vocctl.data.shapes.placement import Placed, arranged, scenery_for
from vocctl.labels import IGNORE, SEG_CLASSES

SIZES = ((168, 224), (224, 168), (224, 224), (192, 240), (240, 192), (160, 224))  # height, width
LEAST_PIXELS = 12  # an object with fewer labeled pixels is left out, its pixels IGNORE


@dataclass(frozen=True)
class DrawnObject:
    name: str
    box: tuple[int, int, int, int]  # xmin, ymin, xmax, ymax of what is seen, counted from 1 as in VOC
    difficult: bool
    truncated: bool


@dataclass(frozen=True)
class Drawing:
    image: np.ndarray  # (H, W, 3) uint8, RGB
    labels: np.ndarray  # (H, W) uint8, 0..20 and IGNORE
    numbers: np.ndarray  # (H, W) uint8, 1.. in the order of objects, 0 and IGNORE
    objects: tuple[DrawnObject, ...]


def draw_scene(main: str, rng: np.random.Generator) -> Drawing:
    """A picture with at least one object of the class main."""
    height, width = SIZES[rng.integers(len(SIZES))]
    scenery = scenery_for(main, rng)
    horizon = horizon_of(scenery, rng)
    high, wide = height * SUPERSAMPLING, width * SUPERSAMPLING
    canvas = draw_background(scenery, horizon, high, wide, rng)
    placed = arranged(main, scenery, horizon, (high, wide), rng)
    covers = []
    for one in placed:
        if not one.sketch.airborne:
            _shadow(canvas, one.box, rng)
        covered = paint(canvas, one.sketch, one.matrix, line=rng.uniform(0.9, 2.2))
        covers.append(cv2.resize(covered, (width, height), interpolation=cv2.INTER_AREA) >= 128)
    image = _photographed(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), rng)
    return _labeled(image, placed, covers, rng)


def _shadow(canvas: np.ndarray, box: tuple[float, ...], rng: np.random.Generator) -> None:
    """A soft dark oval where something stands, in place."""
    left, _, right, bottom = box
    half, flat = (right - left) * 0.52, max(3.0, (right - left) * 0.07)
    x0, x1 = max(0, int(left - half * 0.3)), min(canvas.shape[1], int(right + half * 0.3))
    y0, y1 = max(0, int(bottom - flat * 3)), min(canvas.shape[0], int(bottom + flat * 3))
    if x0 >= x1 or y0 >= y1:
        return
    x, y = np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32))
    away = ((x - (left + right) / 2 - half * 0.1) / half) ** 2 + ((y - bottom) / flat) ** 2
    dark = rng.uniform(0.3, 0.55) * np.exp(-1.2 * away * away)
    canvas[y0:y1, x0:x1] = (canvas[y0:y1, x0:x1] * (1 - dark[..., None])).astype(np.uint8)


def _photographed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Uneven light, a color cast, a little blur and grain."""
    height, width = image.shape[:2]
    x, y = np.meshgrid(np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32))
    light = (
        rng.uniform(0.9, 1.15) + rng.uniform(-0.14, 0.14) * x + rng.uniform(-0.14, 0.14) * y - 0.07 * (x * x + y * y)
    )
    blur = rng.uniform(0, 0.75)
    soft = cv2.GaussianBlur(image, (0, 0), blur) if blur > 0.35 else image
    lit = soft * light[..., None] * rng.uniform(0.93, 1.07, 3).astype(np.float32)
    grain = rng.standard_normal((height, width, 1), np.float32) * rng.uniform(1, 4)
    return np.clip(lit + grain, 0, 255).astype(np.uint8)


def _labeled(image: np.ndarray, placed: list[Placed], covers: list[np.ndarray], rng: np.random.Generator) -> Drawing:
    """covers: what each object covers alone; a later one hides those before it."""
    seen = np.zeros(image.shape[:2], np.uint8)
    for number, cover in enumerate(covers, start=1):
        seen[cover] = number
    brush = np.ones((3, 3), np.uint8)
    band = cv2.dilate(seen, brush) != cv2.erode(seen, brush)
    labels, numbers, objects = np.zeros_like(seen), np.zeros_like(seen), []
    for number, (one, cover) in enumerate(zip(placed, covers, strict=True), start=1):
        visible = seen == number
        kept = visible & ~band
        if kept.sum() < LEAST_PIXELS:
            labels[visible] = numbers[visible] = IGNORE
            continue
        rows, columns = np.nonzero(visible.any(1))[0], np.nonzero(visible.any(0))[0]
        hidden = visible.sum() < 0.4 * cover.sum()
        left, top, right, bottom = one.box
        edge = SUPERSAMPLING
        cut = left < -edge or top < -edge or right > image.shape[1] * 2 + edge or bottom > image.shape[0] * 2 + edge
        box = (int(columns[0]) + 1, int(rows[0]) + 1, int(columns[-1]) + 1, int(rows[-1]) + 1)
        objects.append(DrawnObject(one.name, box, bool(one.far or hidden or rng.uniform() < 0.02), bool(cut)))
        labels[kept], numbers[kept] = SEG_CLASSES.index(one.name), len(objects)
    labels[band] = numbers[band] = IGNORE
    return Drawing(image, labels, numbers, tuple(objects))
