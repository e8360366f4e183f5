"""The background: ground, wall or sky, and clutter. SCENERIES lists the kinds; objects stand below its horizon."""

from collections.abc import Callable

import cv2
import numpy as np

from vocctl.data.shapes import clutter, surfaces
from vocctl.data.shapes.painter import paint
from vocctl.data.shapes.sketch import Sketch

SCENERIES = ("meadow", "street", "water", "sky", "room", "beach")
Clutter = Callable[[Sketch, np.random.Generator, float, float, float], None]

BEHIND: dict[str, tuple[Clutter, ...]] = {  # clutter on the horizon
    "meadow": (clutter.hill, clutter.tree, clutter.tree, clutter.house, clutter.fence),
    "street": (clutter.house, clutter.house, clutter.house, clutter.tree, clutter.lamp_post, clutter.fence),
    "water": (clutter.hill, clutter.hill, clutter.house, clutter.tree),
    "sky": (clutter.hill, clutter.tree, clutter.house),
    "beach": (clutter.hill, clutter.rock, clutter.fence),
    "room": (),
}
ABOVE: dict[str, tuple[Clutter, ...]] = {  # clutter on the wall or in the sky
    "room": (clutter.picture, clutter.window, clutter.shelf, clutter.picture),
}
BELOW: dict[str, tuple[Clutter, ...]] = {  # clutter on the ground
    "meadow": (clutter.tuft, clutter.tuft, clutter.tuft, clutter.rock, clutter.ball, clutter.crate),
    "street": (clutter.cone, clutter.crate, clutter.ball, clutter.lamp_post),
    "water": (clutter.ripple, clutter.ripple, clutter.ripple, clutter.rock),
    "sky": (clutter.tuft, clutter.rock),
    "beach": (clutter.ball, clutter.rock, clutter.crate, clutter.tuft),
    "room": (clutter.rug, clutter.crate, clutter.ball, clutter.crate),
}
GROUND = {
    "meadow": ("grass", "grass", "snow"),
    "street": ("road",),
    "water": ("water",),
    "sky": ("grass", "sand"),
    "beach": ("sand",),
}


def horizon_of(scenery: str, rng: np.random.Generator) -> float:
    """Height of the horizon, as a fraction of the image's height from the top; above 1: the image shows no ground."""
    if scenery == "sky":
        return float(rng.uniform(0.82, 1.15))
    return float(rng.uniform(0.35, 0.62))


def draw_background(scenery: str, horizon: float, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the background, (H, W, 3) uint8."""
    edge = min(height - 1, int(height * horizon))
    above = surfaces.wall(rng, edge, width) if scenery == "room" else surfaces.sky(rng, edge, width)
    if scenery == "room":
        below = surfaces.floor(rng, height - edge, width)
    else:
        kinds = GROUND[scenery]
        below = surfaces.ground(rng, height - edge, width, kinds[rng.integers(len(kinds))])
    image = np.clip(np.vstack([above, below]), 0, 255).astype(np.uint8)
    matrix = np.array([[height, 0.0, 0.0], [0.0, -height, height]])  # the clutter's units to pixels
    paint(
        image, _clutter(scenery, 1 - edge / height, width / height, rng), matrix, half_line_width=rng.uniform(0.6, 2.0)
    )
    blur = rng.uniform(0, 2.2)
    return cv2.GaussianBlur(image, (0, 0), blur) if blur > 0.5 else image


def _clutter(scenery: str, ground: float, width: float, rng: np.random.Generator) -> Sketch:
    """ground: height of the horizon above the lower edge; width: of the image. Both in units of the image's height."""
    s = Sketch()
    if scenery != "room":
        for _ in range(rng.integers(0, 4)):
            clutter.cloud(s, rng, rng.uniform(0, width), rng.uniform(ground + 0.1, 1.05), rng.uniform(0.2, 0.5))
    if scenery == "room":
        s.box(
            -0.1,
            ground - 0.01,
            width + 0.1,
            ground + 0.025,
            surfaces.vary_color(rng, (225, 220, 210), 0.6),
            outline=0.7,
        )
    for clutter_kinds, count, low, high in (
        (ABOVE.get(scenery, ()), 3, ground + 0.1, 0.85),
        (BEHIND[scenery], 5, ground - 0.02, ground + 0.01),
        (BELOW[scenery], 5, ground - 0.05, 0.02),
    ):
        if not clutter_kinds:
            continue
        heights = np.sort(rng.uniform(min(low, high), max(low, high), rng.integers(1, count + 1)))[::-1]
        for y in heights:
            nearness = 1 + (ground - y if y < ground else 0)  # clutter near the viewer is larger
            clutter_kinds[rng.integers(len(clutter_kinds))](
                s, rng, rng.uniform(-0.05, width + 0.05), float(y), rng.uniform(0.25, 0.5) * nearness
            )
    if scenery == "street" and rng.uniform() < 0.7:
        for x in np.arange(-0.2, width + 0.3, 0.34):
            y = ground * 0.35
            s.poly([(x, y), (x + 0.16, y), (x + 0.18, y + 0.02), (x + 0.03, y + 0.02)], (232, 228, 206), outline=0)
    return s
