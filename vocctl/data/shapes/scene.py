"""One image of the drawn data set: objects painted from far to near, and its masks.

The masks are as in VOC: SegmentationClass has classes, SegmentationObject has numbers of objects, and a band of IGNORE,
two pixels wide, runs along every outline. An object is `difficult` if it is far away or mostly hidden, and with
probability 0.02.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from vocctl.data.shapes.backgrounds import draw_background, horizon_of
from vocctl.data.shapes.painter import SUPERSAMPLING, paint
from vocctl.data.shapes.placement import Placed, arrange_objects, choose_scenery
from vocctl.labels import IGNORE, SEG_CLASSES

SIZES = ((168, 224), (224, 168), (224, 224), (192, 240), (240, 192), (160, 224))  # height, width
MIN_PIXELS = 12  # an object with fewer labeled pixels is not annotated: its pixels are IGNORE


@dataclass(frozen=True)
class DrawnObject:
    name: str
    box: tuple[int, int, int, int]  # xmin, ymin, xmax, ymax of the visible part, counted from 1 as in VOC
    difficult: bool
    truncated: bool


@dataclass(frozen=True)
class Drawing:
    image: np.ndarray  # (H, W, 3) uint8, RGB
    labels: np.ndarray  # (H, W) uint8, 0..20 and IGNORE
    instances: np.ndarray  # (H, W) uint8, number of the object in `objects`, from 1; 0 and IGNORE
    objects: tuple[DrawnObject, ...]


def draw_scene(main: str, rng: np.random.Generator) -> Drawing:
    """Draw an image with at least one object of the class main."""
    height, width = SIZES[rng.integers(len(SIZES))]
    scenery = choose_scenery(main, rng)
    horizon = horizon_of(scenery, rng)
    canvas_size = (height * SUPERSAMPLING, width * SUPERSAMPLING)
    canvas = draw_background(scenery, horizon, *canvas_size, rng)
    placed = arrange_objects(main, scenery, horizon, canvas_size, rng)
    masks = []
    for placed_object in placed:
        if not placed_object.sketch.airborne:
            _shadow(canvas, placed_object.box, rng)
        mask = paint(canvas, placed_object.sketch, placed_object.matrix, half_line_width=rng.uniform(0.9, 2.2))
        masks.append(cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA) >= 128)
    image = _simulate_camera(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), rng)
    return _label(image, placed, masks, rng)


def _shadow(canvas: np.ndarray, box: tuple[float, ...], rng: np.random.Generator) -> None:
    """Darken a soft oval under an object, in place."""
    left, _, right, bottom = box
    half, flat = (right - left) * 0.52, max(3.0, (right - left) * 0.07)
    x0, x1 = max(0, int(left - half * 0.3)), min(canvas.shape[1], int(right + half * 0.3))
    y0, y1 = max(0, int(bottom - flat * 3)), min(canvas.shape[0], int(bottom + flat * 3))
    if x0 >= x1 or y0 >= y1:
        return
    x, y = np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32))
    distance = ((x - (left + right) / 2 - half * 0.1) / half) ** 2 + ((y - bottom) / flat) ** 2
    dark = rng.uniform(0.3, 0.55) * np.exp(-1.2 * distance * distance)
    canvas[y0:y1, x0:x1] = (canvas[y0:y1, x0:x1] * (1 - dark[..., None])).astype(np.uint8)


def _simulate_camera(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add uneven light, a color cast, slight blur and grain."""
    height, width = image.shape[:2]
    x, y = np.meshgrid(np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32))
    light = (
        rng.uniform(0.9, 1.15) + rng.uniform(-0.14, 0.14) * x + rng.uniform(-0.14, 0.14) * y - 0.07 * (x * x + y * y)
    )
    blur = rng.uniform(0, 0.75)
    blurred = cv2.GaussianBlur(image, (0, 0), blur) if blur > 0.35 else image
    lit = blurred * light[..., None] * rng.uniform(0.93, 1.07, 3).astype(np.float32)
    grain = rng.standard_normal((height, width, 1), np.float32) * rng.uniform(1, 4)
    return np.clip(lit + grain, 0, 255).astype(np.uint8)


def _label(image: np.ndarray, placed: list[Placed], masks: list[np.ndarray], rng: np.random.Generator) -> Drawing:
    """Make label masks and annotations. masks: of each object alone, (H, W) bool; later objects hide earlier ones."""
    visible_object = np.zeros(image.shape[:2], np.uint8)  # number of the nearest object at each pixel, from 1
    for number, mask in enumerate(masks, start=1):
        visible_object[mask] = number
    kernel = np.ones((3, 3), np.uint8)
    band = cv2.dilate(visible_object, kernel) != cv2.erode(visible_object, kernel)
    labels, instances, objects = np.zeros_like(visible_object), np.zeros_like(visible_object), []
    for number, (placed_object, mask) in enumerate(zip(placed, masks, strict=True), start=1):
        visible = visible_object == number
        inside = visible & ~band
        if inside.sum() < MIN_PIXELS:
            labels[visible] = instances[visible] = IGNORE
            continue
        rows, columns = np.nonzero(visible.any(1))[0], np.nonzero(visible.any(0))[0]
        hidden = visible.sum() < 0.4 * mask.sum()
        left, top, right, bottom = placed_object.box
        height, width = (side * SUPERSAMPLING for side in image.shape[:2])
        edge = SUPERSAMPLING  # one pixel of the image
        truncated = left < -edge or top < -edge or right > width + edge or bottom > height + edge
        box = (int(columns[0]) + 1, int(rows[0]) + 1, int(columns[-1]) + 1, int(rows[-1]) + 1)
        difficult = bool(placed_object.far or hidden or rng.uniform() < 0.02)
        objects.append(DrawnObject(placed_object.name, box, difficult, bool(truncated)))
        labels[inside], instances[inside] = SEG_CLASSES.index(placed_object.name), len(objects)
    labels[band] = instances[band] = IGNORE
    return Drawing(image, labels, instances, tuple(objects))
