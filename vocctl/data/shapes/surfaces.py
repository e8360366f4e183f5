"""Textured surfaces: sky, grass, walls, floors, roads and water, as float pixels in 0..255.

Sizes are in pixels of the painter's canvas.
"""

import cv2
import numpy as np

from vocctl.data.shapes.fills import Color, mix_colors, random_color


def noise(rng: np.random.Generator, height: int, width: int, *, cell: float, stretch: float = 1.0) -> np.ndarray:
    """Smooth noise in about [-1, 1], (H, W) float32. cell: its size in pixels; above 1, stretch makes it wider."""
    rows, columns = max(2, round(height / cell)), max(2, round(width / (cell * stretch)))
    grid = rng.uniform(-1, 1, (rows, columns)).astype(np.float32)
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)


def gradient(top: Color, bottom: Color, height: int, width: int) -> np.ndarray:
    """A vertical gradient, (H, W, 3) float32."""
    fraction = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    first, last = np.array(top, np.float32), np.array(bottom, np.float32)
    return np.broadcast_to(first + (last - first) * fraction, (height, width, 3)).copy()


def vary_color(rng: np.random.Generator, usual: Color, max_fraction: float) -> Color:
    """Mix the usual color with a random color, of which the result has at most max_fraction."""
    return mix_colors(usual, random_color(rng, saturation=0.45), rng.uniform(0, max_fraction))


def sky(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    usual = ((120, 175, 230), (190, 205, 220), (240, 190, 150), (90, 110, 160))[rng.integers(4)]
    top = vary_color(rng, usual, 0.55)
    field = gradient(top, mix_colors(top, (250, 244, 232), rng.uniform(0.2, 0.6)), height, width)
    cloudy = noise(rng, height, width, cell=46, stretch=2.2) + 0.5 * noise(rng, height, width, cell=20, stretch=2)
    return np.asarray(field + np.clip(cloudy, 0, 1)[..., None] * rng.uniform(0, 50))


def ground(rng: np.random.Generator, height: int, width: int, kind: str) -> np.ndarray:
    """kind: grass, road, sand, snow or water."""
    usual: Color = {
        "grass": (112, 150, 78), "road": (128, 126, 126), "sand": (214, 190, 146), "snow": (226, 230, 238),
        "water": (84, 136, 172),
    }[kind]  # fmt: skip
    near = vary_color(rng, usual, 0.55)
    field = gradient(mix_colors(near, (225, 225, 220), rng.uniform(0.1, 0.4)), near, height, width)
    stretch = {"water": 6.0, "road": 2.0, "grass": 0.5}.get(kind, 1.5)
    rough = 26 * noise(rng, height, width, cell=30, stretch=2)
    rough += (20 if kind in ("grass", "water") else 12) * noise(rng, height, width, cell=5, stretch=stretch)
    if kind == "water":
        rows = np.arange(height, dtype=np.float32)[:, None]
        drift = 5 * noise(rng, height, width, cell=40, stretch=2)
        rough += 14 * np.clip(np.sin(np.sqrt(rows + 4) * 5 + drift), 0, 1)
    return np.asarray(field + rough[..., None])


def wall(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A plain, striped, checked, dotted or brick wall."""
    color = random_color(rng, saturation=0.35)
    second = np.array(mix_colors(color, random_color(rng, saturation=0.4), rng.uniform(0.2, 0.6)), np.float32)
    field = gradient(mix_colors(color, (255, 255, 255), 0.15), color, height, width)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    period = rng.uniform(22, 60)
    kind = rng.integers(5)
    if kind == 1:
        weight = (x % period < period * rng.uniform(0.15, 0.6)).astype(np.float32)
    elif kind == 2:
        weight = ((x // period + y // period) % 2).astype(np.float32)
    elif kind == 3:
        shifted = x + (y // period % 2) * period / 2
        weight = ((shifted % period - period / 2) ** 2 + (y % period - period / 2) ** 2 < (period * 0.2) ** 2).astype(
            np.float32
        )
    elif kind == 4:
        shifted = x + (y // (period / 2) % 2) * period / 2
        weight = np.maximum(shifted % period < 3, y % (period / 2) < 3).astype(np.float32)
    else:
        weight = np.zeros((height, width), np.float32)
    field += (second - field) * weight[..., None] * rng.uniform(0.4, 0.9)
    return np.asarray(field + 10 * noise(rng, height, width, cell=24)[..., None])


def floor(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Boards, tiles or carpet in perspective."""
    color = vary_color(rng, ((176, 130, 90), (150, 150, 152), (196, 180, 160))[rng.integers(3)], 0.6)
    field = gradient(mix_colors(color, (40, 36, 40), 0.2), color, height, width)
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
