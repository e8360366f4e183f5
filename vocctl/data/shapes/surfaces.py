"""Textured surfaces: sky, grass, walls, floors, roads and water, as float pixels in 0..255.

All sizes are (H, W) pixels of the canvas on which the painter works.
"""

import cv2
import numpy as np

from vocctl.data.shapes.fills import Color, any_color, mixed


def noise(rng: np.random.Generator, height: int, width: int, *, cell: float, stretch: float = 1.0) -> np.ndarray:
    """Smooth noise in about -1..1, (H, W) float32. cell: pixels of one bump; stretch > 1 makes bumps wide."""
    rows, columns = max(2, round(height / cell)), max(2, round(width / (cell * stretch)))
    grid = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)


def washed(top: Color, bottom: Color, height: int, width: int) -> np.ndarray:
    """A vertical gradient, (H, W, 3) float32."""
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    first, last = np.array(top, np.float32), np.array(bottom, np.float32)
    return np.broadcast_to(first + (last - first) * share, (height, width, 3)).copy()


def tinted(rng: np.random.Generator, usual: Color, freedom: float) -> Color:
    """The usual color, moved towards any other by up to freedom in [0, 1]."""
    return mixed(usual, any_color(rng, lively=0.45), rng.uniform(0, freedom))


def sky(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    usual = ((120, 175, 230), (190, 205, 220), (240, 190, 150), (90, 110, 160))[rng.integers(4)]
    top = tinted(rng, usual, 0.55)
    field = washed(top, mixed(top, (250, 244, 232), rng.uniform(0.2, 0.6)), height, width)
    cloudy = noise(rng, height, width, cell=46, stretch=2.2) + 0.5 * noise(rng, height, width, cell=20, stretch=2)
    return np.asarray(field + np.clip(cloudy, 0, 1)[..., None] * rng.uniform(0, 50))


def ground(rng: np.random.Generator, height: int, width: int, kind: str) -> np.ndarray:
    """grass, road, sand, snow or water."""
    usual: Color = {
        "grass": (112, 150, 78), "road": (128, 126, 126), "sand": (214, 190, 146), "snow": (226, 230, 238),
        "water": (84, 136, 172),
    }[kind]  # fmt: skip
    near = tinted(rng, usual, 0.55)
    field = washed(mixed(near, (225, 225, 220), rng.uniform(0.1, 0.4)), near, height, width)
    stretch = {"water": 6.0, "road": 2.0, "grass": 0.5}.get(kind, 1.5)
    rough = 26 * noise(rng, height, width, cell=30, stretch=2)
    rough += (20 if kind in ("grass", "water") else 12) * noise(rng, height, width, cell=5, stretch=stretch)
    if kind == "water":
        rows = np.arange(height, dtype=np.float32)[:, None]
        drift = 5 * noise(rng, height, width, cell=40, stretch=2)
        rough += 14 * np.clip(np.sin(np.sqrt(rows + 4) * 5 + drift), 0, 1)
    return np.asarray(field + rough[..., None])


def wall(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Plain, striped, checked, dotted or brick."""
    color = any_color(rng, lively=0.35)
    other = np.array(mixed(color, any_color(rng, lively=0.4), rng.uniform(0.2, 0.6)), np.float32)
    field = washed(mixed(color, (255, 255, 255), 0.15), color, height, width)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    period = rng.uniform(22, 60)
    kind = rng.integers(5)
    if kind == 1:
        share = (x % period < period * rng.uniform(0.15, 0.6)).astype(np.float32)
    elif kind == 2:
        share = ((x // period + y // period) % 2).astype(np.float32)
    elif kind == 3:
        shifted = x + (y // period % 2) * period / 2
        share = ((shifted % period - period / 2) ** 2 + (y % period - period / 2) ** 2 < (period * 0.2) ** 2).astype(
            np.float32
        )
    elif kind == 4:
        shifted = x + (y // (period / 2) % 2) * period / 2
        share = np.maximum(shifted % period < 3, y % (period / 2) < 3).astype(np.float32)
    else:
        share = np.zeros((height, width), np.float32)
    field += (other - field) * share[..., None] * rng.uniform(0.4, 0.9)
    return np.asarray(field + 10 * noise(rng, height, width, cell=24)[..., None])


def floor(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Boards, tiles or carpet; boards and tiles grow towards the viewer."""
    color = tinted(rng, ((176, 130, 90), (150, 150, 152), (196, 180, 160))[rng.integers(3)], 0.6)
    field = washed(mixed(color, (40, 36, 40), 0.2), color, height, width)
    kind = rng.integers(3)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32) - width / 2, np.arange(height, dtype=np.float32))
    depth = (y + height * 0.6) / (height * 1.6)
    across, along = x / depth / 46, np.log(depth) * 7
    if kind == 0:
        edge = (across % 1 < 0.06) | ((along + 0.37 * np.floor(across)) % 1.6 < 0.05)
        field *= 1 - 0.3 * edge[..., None].astype(np.float32)
        field += (14 * np.sin(np.floor(across) * 12.9))[..., None]
    elif kind == 1:
        field *= 1 - 0.25 * ((np.floor(across) + np.floor(along)) % 2)[..., None].astype(np.float32)
    return np.asarray(field + (12 if kind == 2 else 6) * noise(rng, height, width, cell=5, stretch=3)[..., None])
