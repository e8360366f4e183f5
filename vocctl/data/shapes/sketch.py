"""A vector drawing of one object: a list of shapes.

Each drawer has its own units; x goes right, y goes up, and the ground is at y = 0. Later shapes cover earlier ones. A
shape is the union of simple polygons, so that a bent limb may overlap itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from vocctl.data.shapes.fills import Color, Fill

Point = tuple[float, float]
Look = Fill | Color


@dataclass(frozen=True)
class Shape:
    parts: tuple[np.ndarray, ...]  # each (N, 2)
    fill: Fill
    outline: float = 1.0  # relative line width; 0: no outline
    in_mask: bool = True  # False: painted, but not part of the object's mask


def smooth(points: Sequence[Point], *, closed: bool, steps: int = 6) -> np.ndarray:
    """Catmull-Rom curve through N points: (N * steps, 2) if closed, otherwise ((N - 1) * steps + 1, 2)."""
    p = np.asarray(points, float)
    around = np.vstack([p[-1:], p, p[:2]]) if closed else np.vstack([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = (np.arange(steps) / steps)[:, None, None]
    a, b, c, d = around[:-3], around[1:-2], around[2:-1], around[3:]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    curve = curve.transpose(1, 0, 2).reshape(-1, 2)
    return curve if closed else np.vstack([curve, p[-1:]])


@lru_cache
def _circle(count: int) -> np.ndarray:
    """Points on the unit circle, (count, 2)."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def oval_points(x: float, y: float, rx: float, ry: float, tilt: float = 0.0) -> np.ndarray:
    """Outline of an ellipse, (28, 2). tilt: in degrees, counterclockwise."""
    points = _circle(28) * np.array([rx, ry])
    if tilt:
        cos, sin = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
        points = points @ np.array([[cos, sin], [-sin, cos]])
    return points + np.array([x, y])


def rod_parts(path: np.ndarray, widths: np.ndarray) -> tuple[np.ndarray, ...]:
    """A bent, tapering rod with round ends, as quadrilaterals and discs. path: (N, 2); widths: (N,)."""
    step = np.diff(path, axis=0)
    normal = step[:, ::-1] * (-1, 1) / np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)[:, None]
    half = widths[:, None] / 2
    near, far = normal * half[:-1], normal * half[1:]
    quads = np.stack([path[:-1] + near, path[:-1] - near, path[1:] - far, path[1:] + far], 1)
    discs = path[:, None] + half[:, None] * _circle(14)
    return (*quads, *discs)


@dataclass
class Sketch:
    shapes: list[Shape] = field(default_factory=list)
    airborne: bool = False  # it flies: not on the ground, without a shadow

    def _put(self, parts: Sequence[np.ndarray], look: Look, outline: float) -> None:
        fill = look if isinstance(look, Fill) else Fill(look)
        self.shapes.append(Shape(tuple(parts), fill, outline))

    def poly(self, points: Sequence[Point], look: Look, *, outline: float = 1.0) -> None:
        self._put([np.asarray(points, float)], look, outline)

    def blob(self, points: Sequence[Point], look: Look, *, outline: float = 1.0) -> None:
        """A closed smooth curve through the points."""
        self._put([smooth(points, closed=True)], look, outline)

    def oval(
        self, x: float, y: float, rx: float, ry: float, look: Look, *, tilt: float = 0.0, outline: float = 1.0
    ) -> None:
        self._put([oval_points(x, y, rx, ry, tilt)], look, outline)

    def box(
        self, x0: float, y0: float, x1: float, y1: float, look: Look, *, corner: float = 0.0, outline: float = 1.0
    ) -> None:
        """A rectangle. x0, y0, x1, y1: left, bottom, right, top; corner: radius."""
        if corner <= 0:
            return self.poly([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], look, outline=outline)
        arcs = []
        for x, y, start in ((x1, y1, 0.0), (x0, y1, 0.5), (x0, y0, 1.0), (x1, y0, 1.5)):
            cx, cy = (x - corner if x == x1 else x + corner), (y - corner if y == y1 else y + corner)
            angle = np.pi * np.linspace(start, start + 0.5, 5)
            arcs.append(np.stack([cx + corner * np.cos(angle), cy + corner * np.sin(angle)], 1))
        return self._put([np.vstack(arcs)], look, outline)

    def rod(
        self,
        points: Sequence[Point],
        width: float | Sequence[float],
        look: Look,
        *,
        bent: bool = True,
        outline: float = 1.0,
    ) -> None:
        """A line with round ends. width: for all points, or per point. bent: a smooth curve instead of corners."""
        widths = np.broadcast_to(np.asarray(width, float), (len(points),))
        path = np.asarray(points, float)
        if bent and len(points) > 2:
            path = smooth(points, closed=False, steps=4)
            widths = np.interp(np.linspace(0, len(points) - 1, len(path)), np.arange(len(points)), widths)
        self._put(rod_parts(path, np.array(widths)), look, outline)

    def add(self, other: "Sketch", x: float = 0.0, y: float = 0.0, *, scale: float = 1.0, tilt: float = 0.0) -> None:
        """Add a sketch, rotated by tilt degrees about its own origin, scaled, then moved to (x, y)."""
        turn = math.radians(tilt)
        matrix = scale * np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
        for shape in other.shapes:
            parts = tuple(part @ matrix + (x, y) for part in shape.parts)
            self.shapes.append(replace(shape, parts=parts))

    def add_unlabeled(self, other: "Sketch") -> None:
        """Add shapes that are painted but are not part of the object: rails, smoke."""
        self.shapes += [replace(shape, in_mask=False) for shape in other.shapes]

    def points(self) -> np.ndarray:
        """All points of the shapes in the mask, (N, 2)."""
        return np.vstack([part for shape in self.shapes if shape.in_mask for part in shape.parts])

    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top of the shapes in the mask."""
        return bounds_of(self.points())


def bounds_of(points: np.ndarray) -> tuple[float, float, float, float]:
    """Left, bottom, right, top of points (N, 2)."""
    (left, bottom), (right, top) = points.min(0).tolist(), points.max(0).tolist()
    return left, bottom, right, top
