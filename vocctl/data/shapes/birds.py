"""Bird, standing or in flight, facing right. Units: the body is about 1 long."""

import numpy as np

from vocctl.data.shapes.fills import Color, Fill, mix_colors, random_color, random_fur_color, random_pattern
from vocctl.data.shapes.sketch import Sketch

BEAKS: tuple[Color, ...] = ((236, 170, 50), (60, 54, 56), (220, 110, 60), (196, 186, 150))


def _wing(fill: Fill, raised: bool) -> Sketch:
    """A spread wing with its root at the origin; its front edge is on the right, its feather tips are on the left."""
    up = 1 if raised else -0.85
    wing = Sketch()
    edge = [(0.2, -0.05), (0.22, 0.5), (0.02, 1.1), (-0.2, 0.98), (-0.16, 0.84), (-0.38, 0.74), (-0.3, 0.6), (-0.5, 0.46),
            (-0.38, 0.36), (-0.52, 0.18), (-0.3, 0.02), (-0.16, -0.08)]  # fmt: skip
    wing.blob([(x, y * up) for x, y in edge], fill)
    for start, end in (((0.02, 0.72), (-0.2, 0.8)), ((0.04, 0.5), (-0.34, 0.58)), ((0.04, 0.3), (-0.42, 0.34))):
        wing.rod([(start[0], start[1] * up), (end[0], end[1] * up)], 0.025, fill.with_tone(0.55), outline=0)
    inner = [(0.16, 0.0), (0.16, 0.4), (0.06, 0.7), (-0.06, 0.4), (-0.1, 0.0)]
    wing.blob([(x, y * up) for x, y in inner], fill.with_tone(1.25), outline=0)
    return wing


def _head(sketch: Sketch, x: float, y: float, size: float, fill: Fill, rng: np.random.Generator) -> None:
    beak = BEAKS[rng.integers(len(BEAKS))]
    beak_length = rng.uniform(0.22, 0.46)
    sketch.poly([(x + size * 0.75, y + 0.09), (x + size + beak_length, y - 0.03), (x + size * 0.75, y - 0.09)], beak)
    if rng.uniform() < 0.3:
        for lean in (-0.16, -0.05, 0.06):
            sketch.rod([(x - 0.02, y + size * 0.7), (x + lean, y + size + 0.16)], [0.08, 0.03], fill.with_tone(0.7))
    sketch.oval(x, y, size, size * 0.95, fill)
    sketch.oval(x + size * 0.35, y + size * 0.2, size * 0.27, size * 0.27, (250, 246, 236), outline=0.5)
    sketch.oval(x + size * 0.4, y + size * 0.2, size * 0.16, size * 0.17, (20, 18, 22), outline=0)


def bird(rng: np.random.Generator) -> Sketch:
    color = random_color(rng, saturation=0.55) if rng.uniform() < 0.5 else random_fur_color(rng)
    body = random_pattern(color, rng, kinds=("spots", "grain"), scale=0.16, chance=0.25).with_roundness(0.7)
    belly = mix_colors(random_color(rng), (240, 230, 210), rng.uniform(0.2, 0.8))
    if rng.uniform() < 0.35:
        return flying(rng, body, belly)
    return perched(rng, body, belly)


def flying(rng: np.random.Generator, body: Fill, belly: Color) -> Sketch:
    s = Sketch(airborne=True)
    raised, wing, span = bool(rng.uniform() < 0.65), body.with_tone(rng.uniform(0.65, 0.9)), rng.uniform(0.95, 1.25)
    lean = rng.uniform(-8, 28) * (1 if raised else -1)
    s.add(_wing(wing.with_tone(0.65), raised), 0.22, 0.08, scale=span * 0.95, tilt=lean - (34 if raised else -34))
    for slip in (-0.14, -0.02, 0.1):
        s.rod([(-0.4, 0.0), (-0.92, slip)], [0.14, 0.18], body.with_tone(0.7), outline=0.7)
    s.blob([(-0.55, 0.02), (-0.2, 0.19), (0.25, 0.22), (0.52, 0.14), (0.44, -0.14), (0.05, -0.24), (-0.3, -0.16)], body)
    s.blob([(-0.25, -0.1), (0.1, -0.08), (0.42, 0.0), (0.4, -0.13), (0.04, -0.22)], belly, outline=0)
    _head(s, 0.56, 0.14, rng.uniform(0.2, 0.24), body, rng)
    s.add(_wing(wing, raised), 0.04, 0.06, scale=span, tilt=lean)
    return s


def perched(rng: np.random.Generator, body: Fill, belly: Color) -> Sketch:
    s = Sketch()
    leg = BEAKS[rng.integers(len(BEAKS))]
    leg_length, lean = rng.uniform(0.2, 0.45), rng.uniform(5, 32)
    for x in (-0.06, 0.14):
        s.rod([(x, leg_length + 0.1), (x + 0.02, 0.05)], 0.06, leg)
        for toe in (-0.1, 0.06, 0.15):
            s.rod([(x + 0.02, 0.05), (x + toe, 0.025)], 0.045, leg)
    top = Sketch()
    for slip in (-0.08, 0.0, 0.08):
        top.rod([(-0.36, 0.0), (-0.95, -0.1 + slip)], [0.14, 0.13], body.with_tone(0.65), outline=0.7)
    top.blob(
        [
            (-0.5, -0.02),
            (-0.25, 0.2),
            (0.15, 0.28),
            (0.45, 0.3),
            (0.55, 0.1),
            (0.42, -0.18),
            (0.1, -0.32),
            (-0.25, -0.22),
        ],
        body,
    )
    top.blob([(0.1, -0.26), (0.36, -0.14), (0.5, 0.05), (0.34, 0.1), (0.12, -0.05), (-0.1, -0.22)], belly, outline=0)
    wing = body.with_tone(rng.uniform(0.55, 0.8))
    top.blob([(0.22, 0.12), (0.05, 0.22), (-0.3, 0.08), (-0.7, -0.14), (-0.3, -0.16), (0.1, -0.1)], wing)
    for k in range(3):
        top.rod(
            [(0.0 - 0.14 * k, -0.06 + 0.015 * k), (-0.34 - 0.1 * k, -0.1 - 0.01 * k)],
            0.025,
            wing.with_tone(0.55),
            outline=0,
        )
    s.add(top, 0.0, leg_length + 0.3, tilt=lean)
    angle = np.radians(lean)
    head = (0.47 * np.cos(angle) - 0.3 * np.sin(angle), leg_length + 0.3 + 0.47 * np.sin(angle) + 0.3 * np.cos(angle))
    _head(s, head[0], head[1], rng.uniform(0.22, 0.27), body, rng)
    return s
