"""Which objects an image shows, how large they are and where they stand.

Positions are in pixels of the painter's canvas, y down. Larger objects stand nearer to the viewer, lower in the image.
"""

from dataclasses import dataclass

import numpy as np

from vocctl.data.shapes.backgrounds import SCENERIES
from vocctl.data.shapes.drawers import DRAWERS
from vocctl.data.shapes.sketch import Sketch, bounds_of
from vocctl.labels import CLASSES

CLASSES_BY_SCENERY = {
    "meadow": ("horse", "cow", "sheep", "dog", "cat", "bird", "person", "bicycle", "train", "chair", "motorbike"),
    "street": ("car", "bus", "motorbike", "bicycle", "person", "dog", "train", "pottedplant", "cat", "aeroplane"),
    "water": ("boat", "boat", "bird", "aeroplane"),
    "sky": ("aeroplane", "bird"),
    "room": ("chair", "sofa", "diningtable", "tvmonitor", "bottle", "pottedplant", "cat", "dog", "person"),
    "beach": ("person", "dog", "bird", "bottle", "chair", "horse", "boat", "car"),
}


@dataclass(frozen=True)
class Posed:
    """An object with its pose, before it has a position."""

    name: str
    sketch: Sketch
    linear: np.ndarray  # (2, 2): mirror, rotation, stretch and shear
    bounds: tuple[float, float, float, float]  # left, bottom, right, top after that map
    far: bool  # tiny, in the distance


@dataclass(frozen=True)
class Placed:
    name: str
    sketch: Sketch
    matrix: np.ndarray  # (2, 3), units of the sketch to pixels
    box: tuple[float, float, float, float]  # left, top, right, bottom
    far: bool


def choose_scenery(main: str, rng: np.random.Generator) -> str:
    """A scenery for the class: with probability 0.8 one that lists it in CLASSES_BY_SCENERY, otherwise any."""
    usual = [scenery for scenery in SCENERIES if main in CLASSES_BY_SCENERY[scenery]]
    return usual[rng.integers(len(usual))] if rng.uniform() < 0.8 else SCENERIES[rng.integers(len(SCENERIES))]


def arrange_objects(
    main: str, scenery: str, horizon: float, size: tuple[int, int], rng: np.random.Generator
) -> list[Placed]:
    """Place the main object and up to three others; the farthest comes first. size: height and width of the canvas."""
    others = int(rng.choice(4, p=[0.24, 0.34, 0.24, 0.18]))
    placed = [_place_object(_pose_object(main, False, rng), 1 - 0.07 * others, horizon, size, rng)]
    for _ in range(others):
        usual = CLASSES_BY_SCENERY[scenery]
        name = usual[rng.integers(len(usual))] if rng.uniform() < 0.85 else CLASSES[rng.integers(len(CLASSES))]
        posed, max_overlap = _pose_object(name, bool(rng.uniform() < 0.12), rng), rng.uniform(0.15, 0.6)
        for size_factor in np.linspace(0.72, 0.4, 16).tolist():  # smaller at each attempt, until it fits
            candidate = _place_object(posed, size_factor, horizon, size, rng)
            if all(_overlap(candidate.box, earlier.box) < max_overlap for earlier in placed):
                placed.append(candidate)
                break
    return sorted(placed, key=lambda placed_object: placed_object.box[3])


def _pose_object(name: str, far: bool, rng: np.random.Generator) -> Posed:
    sketch = DRAWERS[name](rng)
    tilt = np.radians(rng.normal(0, 9 if sketch.airborne else 3))
    stretch, lean = rng.uniform(0.9, 1.1), rng.normal(0, 0.05)
    rotation = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    linear = rotation @ np.array([[stretch * (1 if rng.uniform() < 0.5 else -1), lean], [0.0, 1 / stretch]])
    return Posed(name, sketch, linear, bounds_of(sketch.points() @ linear.T), far)


def _place_object(
    posed: Posed, size_factor: float, horizon: float, size: tuple[int, int], rng: np.random.Generator
) -> Placed:
    """Give the object a size and a position. size_factor: 1 for a main object that is alone in its image."""
    height, width = size
    left, bottom, right, top = posed.bounds
    across, up = right - left, top - bottom
    reach = rng.uniform(0.1, 0.15) if posed.far else rng.uniform(0.54, 0.8) * size_factor
    scale = reach * float(np.sqrt(height * width / (across * up))) * 0.92
    scale = min(scale, 0.94 * width / across, 0.9 * height / up)
    w, h = across * scale, up * scale
    x = rng.uniform(-0.06 * w, width - 0.94 * w) if rng.uniform() < 0.25 else rng.uniform(0, width - w)
    y = _bottom_edge(posed.sketch.airborne, reach, h, height, horizon, rng)
    flip = np.diag([1.0, -1.0])  # y goes down on the canvas
    matrix = np.hstack([scale * flip @ posed.linear, [[x - left * scale], [y + bottom * scale]]])
    return Placed(posed.name, posed.sketch, matrix, (x, y - h, x + w, y), posed.far)


def _bottom_edge(
    airborne: bool, reach: float, h: float, height: int, horizon: float, rng: np.random.Generator
) -> float:
    """y of the bottom edge of an object that is h pixels tall; larger objects (reach) stand lower in the image."""
    if airborne:
        return float(rng.uniform(0, max(1.0, min(height, horizon * height + 0.1 * h) - h)) + h)
    nearest = min(0.98, horizon + (1 - horizon) * min(1.0, reach * 1.1 + 0.2) + 0.1)
    y = rng.uniform(min(nearest, max(horizon + 0.06, nearest - 0.15)), nearest) * height
    y = max(y, min(h + 2, 0.99 * height))
    return float(y + rng.uniform(0.05, 0.2) * h if rng.uniform() < 0.08 else y)


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Area of the intersection of two boxes over the area of the smaller box."""
    across = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    up = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return across * up / min(areas)
