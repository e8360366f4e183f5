"""What stands where in a picture: which classes go together, how large, how near.

Pixels are those of the painter's canvas, y downwards. Sizes and places are drawn so that what is larger stands nearer.
"""

from dataclasses import dataclass

import numpy as np

from vocctl.data.shapes.backgrounds import SCENERIES
from vocctl.data.shapes.drawers import DRAWERS
from vocctl.data.shapes.sketch import Sketch, bounds_of
from vocctl.labels import CLASSES

HOMES = {
    "meadow": ("horse", "cow", "sheep", "dog", "cat", "bird", "person", "bicycle", "train", "chair", "motorbike"),
    "street": ("car", "bus", "motorbike", "bicycle", "person", "dog", "train", "pottedplant", "cat", "aeroplane"),
    "water": ("boat", "boat", "bird", "aeroplane"),
    "sky": ("aeroplane", "bird"),
    "room": ("chair", "sofa", "diningtable", "tvmonitor", "bottle", "pottedplant", "cat", "dog", "person"),
    "beach": ("person", "dog", "bird", "bottle", "chair", "horse", "boat", "car"),
}


@dataclass(frozen=True)
class Posed:
    """An object that has its pose, and no place yet."""

    name: str
    sketch: Sketch
    linear: np.ndarray  # (2, 2): mirrored or not, a little turned, stretched and leaning
    bounds: tuple[float, float, float, float]  # under that map: left, bottom, right, top
    far: bool  # tiny, in the distance


@dataclass(frozen=True)
class Placed:
    name: str
    sketch: Sketch
    matrix: np.ndarray  # (2, 3), units of the sketch to pixels
    box: tuple[float, float, float, float]  # left, top, right, bottom
    far: bool


def scenery_for(main: str, rng: np.random.Generator) -> str:
    """Mostly one where the class is at home."""
    homes = [scenery for scenery in SCENERIES if main in HOMES[scenery]]
    return homes[rng.integers(len(homes))] if rng.uniform() < 0.8 else SCENERIES[rng.integers(len(SCENERIES))]


def arranged(main: str, scenery: str, horizon: float, size: tuple[int, int], rng: np.random.Generator) -> list[Placed]:
    """The main object and up to three others, the farthest first. size: height and width of the canvas."""
    others = int(rng.choice(4, p=[0.24, 0.34, 0.24, 0.18]))
    placed = [_placed(_posed(main, False, rng), 1 - 0.07 * others, horizon, size, rng)]
    for _ in range(others):
        homely = HOMES[scenery]
        name = homely[rng.integers(len(homely))] if rng.uniform() < 0.85 else CLASSES[rng.integers(len(CLASSES))]
        posed, allowed = _posed(name, bool(rng.uniform() < 0.12), rng), rng.uniform(0.15, 0.6)
        for share in np.linspace(0.72, 0.4, 16).tolist():  # smaller at each attempt, until it fits
            candidate = _placed(posed, share, horizon, size, rng)
            if all(_overlap(candidate.box, other.box) < allowed for other in placed):
                placed.append(candidate)
                break
    return sorted(placed, key=lambda one: one.box[3])


def _posed(name: str, far: bool, rng: np.random.Generator) -> Posed:
    sketch = DRAWERS[name](rng)
    tilt = np.radians(rng.normal(0, 9 if sketch.airborne else 3))
    stretch, lean = rng.uniform(0.9, 1.1), rng.normal(0, 0.05)
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    linear = turn @ np.array([[stretch * (1 if rng.uniform() < 0.5 else -1), lean], [0.0, 1 / stretch]])
    return Posed(name, sketch, linear, bounds_of(sketch.points() @ linear.T), far)


def _placed(posed: Posed, share: float, horizon: float, size: tuple[int, int], rng: np.random.Generator) -> Placed:
    """share: how large, beside a main object alone in its picture."""
    high, wide = size
    left, bottom, right, top = posed.bounds
    across, up = right - left, top - bottom
    reach = rng.uniform(0.1, 0.15) if posed.far else rng.uniform(0.54, 0.8) * share
    scale = reach * float(np.sqrt(high * wide / (across * up))) * 0.92
    scale = min(scale, 0.94 * wide / across, 0.9 * high / up)
    w, h = across * scale, up * scale
    x = rng.uniform(-0.06 * w, wide - 0.94 * w) if rng.uniform() < 0.25 else rng.uniform(0, wide - w)
    y = _lowest(posed.sketch.airborne, reach, h, high, horizon, rng)
    flip = np.diag([1.0, -1.0])  # the canvas counts downwards
    matrix = np.hstack([scale * flip @ posed.linear, [[x - left * scale], [y + bottom * scale]]])
    return Placed(posed.name, posed.sketch, matrix, (x, y - h, x + w, y), posed.far)


def _lowest(airborne: bool, reach: float, h: float, high: int, horizon: float, rng: np.random.Generator) -> float:
    """Where an object h pixels tall ends below. What is larger (reach) stands nearer, so lower in the picture."""
    if airborne:
        return float(rng.uniform(0, max(1.0, min(high, horizon * high + 0.1 * h) - h)) + h)
    nearest = min(0.98, horizon + (1 - horizon) * min(1.0, reach * 1.1 + 0.2) + 0.1)
    y = rng.uniform(min(nearest, max(horizon + 0.06, nearest - 0.15)), nearest) * high
    y = max(y, min(h + 2, 0.99 * high))
    return float(y + rng.uniform(0.05, 0.2) * h if rng.uniform() < 0.08 else y)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Shared area over the smaller one's."""
    across = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    up = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return across * up / min(areas)
