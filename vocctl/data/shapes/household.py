"""Bottle, potted plant and television.

Units: a bottle is about 2 tall, a screen about 2 wide.
"""

import numpy as np

from vocctl.data.shapes.fills import Color, Fill, mix_colors, random_color, random_pattern, tone
from vocctl.data.shapes.sketch import Point, Sketch


def bottle(rng: np.random.Generator) -> Sketch:
    s = Sketch()
    color, half = random_color(rng, saturation=0.6), rng.uniform(0.28, 0.36)
    body = Fill(color, roundness=0.9, opacity=0.94)
    kind = rng.integers(3)  # wine, beer or sauce, water
    shoulder = (1.15, 0.95, 1.35)[kind]
    neck, top = (0.11, 0.1, 0.15)[kind], (1.95, 1.75, 1.75)[kind]
    slope = (0.25, 0.5, 0.2)[kind]
    right: list[Point] = [(half * 0.96, 0.0), (half, 0.06), (half, shoulder), (half * 0.86, shoulder + slope * 0.4),
                          (neck * 1.25, shoulder + slope), (neck, shoulder + slope * 1.25), (neck, top)]  # fmt: skip
    s.poly(right + [(-x, y) for x, y in reversed(right)], body)
    if kind == 2:
        for y in (0.16, 0.3, shoulder + 0.04):
            s.rod([(-half * 0.96, y), (0.0, y - 0.035), (half * 0.96, y)], 0.03, tone(color, 0.7), outline=0)
    fluid = tone(color, 0.6)
    level = rng.uniform(0.5, 1.0) * shoulder
    if rng.uniform() < 0.4:
        s.poly(
            [(-half * 0.9, 0.05), (half * 0.9, 0.05), (half * 0.9, level), (-half * 0.9, level)],
            Fill(fluid, roundness=0.6, opacity=0.7),
            outline=0,
        )
    paper = mix_colors(random_color(rng), (246, 240, 224), rng.choice([0.0, 0.8]))
    label_bottom, label_top = 0.32, shoulder - rng.uniform(0.1, 0.25)
    if rng.uniform() < 0.85:
        s.box(-half, label_bottom, half, label_top, Fill(paper, roundness=0.45), outline=0.5)
        mark = random_color(rng, saturation=0.8)
        if rng.uniform() < 0.5:
            s.oval(0.0, (label_bottom + label_top) / 2, half * 0.5, half * 0.5, mark, outline=0.5)
        else:
            for share in (0.35, 0.55, 0.7):
                y = label_bottom + (label_top - label_bottom) * share
                s.rod([(-half * 0.6, y), (half * 0.6, y)], 0.05, mark, outline=0)
    s.rod([(-half * 0.62, 0.12), (-half * 0.62, shoulder)], 0.06, Fill((255, 255, 255), opacity=0.5), outline=0)
    s.rod(
        [(-neck * 0.4, shoulder + slope * 1.2), (-neck * 0.4, top - 0.1)],
        0.04,
        Fill((255, 255, 255), opacity=0.5),
        outline=0,
    )
    cap = random_color(rng, saturation=0.7)
    s.box(
        -neck * 1.2,
        top - 0.16,
        neck * 1.2,
        top + 0.05,
        Fill(cap, tone(cap, 0.7), "plain" if kind else "bands", 0.08, roundness=0.5),
        corner=0.03,
    )
    return s


def leaf(s: Sketch, root: Point, angle: float, length: float, width: float, fill: Fill) -> None:
    """A pointed leaf from its root. angle: in degrees, counterclockwise from the right."""
    blade = Sketch()
    blade.blob(
        [
            (0.0, 0.0),
            (length * 0.35, width / 2),
            (length * 0.75, width * 0.36),
            (length, 0.0),
            (length * 0.75, -width * 0.36),
            (length * 0.35, -width / 2),
        ],
        fill,
    )
    blade.rod([(0.04, 0.0), (length * 0.85, 0.0)], 0.018, fill.with_tone(0.6), outline=0)
    s.add(blade, *root, tilt=angle)


def pottedplant(rng: np.random.Generator) -> Sketch:
    s = Sketch()
    pot = random_pattern(
        mix_colors((190, 104, 70), random_color(rng), rng.choice([0.1, 0.9])),
        rng,
        kinds=("bands", "checks", "stripes"),
        scale=0.24,
        chance=0.4,
    )
    green = mix_colors(random_color(rng, saturation=0.5), (84, 150, 70), rng.uniform(0.45, 0.95))
    top, low, height = rng.uniform(0.38, 0.46), rng.uniform(0.26, 0.32), rng.uniform(0.62, 0.8)
    (leafy, flowers, cactus, palm)[rng.choice(4, p=[0.35, 0.25, 0.15, 0.25])](s, rng, height, green)
    s.poly([(-low, 0.0), (low, 0.0), (top, height), (-top, height)], pot.with_roundness(0.8))
    s.box(-top - 0.06, height - 0.12, top + 0.06, height + 0.06, pot.with_tone(0.9).with_roundness(0.5), corner=0.03)
    return s


def leafy(s: Sketch, rng: np.random.Generator, base: float, green: Color) -> None:
    for row, (count, length) in enumerate(((7, 0.85), (6, 0.7), (5, 0.55))):
        for angle in np.linspace(168, 12, count) + rng.uniform(-8, 8, count):
            tint = Fill(tone(green, (0.62, 0.85, 1.15)[row]), roundness=0.4)
            leaf(
                s,
                (rng.uniform(-0.12, 0.12), base + 0.02 + 0.1 * row),
                angle,
                length * rng.uniform(0.85, 1.15),
                0.3,
                tint,
            )


def flowers(s: Sketch, rng: np.random.Generator, base: float, green: Color) -> None:
    petal, heart = random_color(rng, saturation=0.75), (246, 206, 80)
    for angle in (160, 130, 50, 20, 95):
        leaf(
            s,
            (0.0, base),
            angle + rng.uniform(-8, 8),
            rng.uniform(0.4, 0.6),
            0.22,
            Fill(tone(green, 0.8), roundness=0.3),
        )
    for lean in np.linspace(-0.55, 0.55, int(rng.integers(3, 6))):
        x, y = lean + rng.uniform(-0.05, 0.05), base + rng.uniform(0.55, 1.0)
        s.rod([(lean * 0.2, base), (lean * 0.7, base + 0.3), (x, y)], 0.06, tone(green, 0.9))
        for a in np.linspace(0, 2 * np.pi, 6, endpoint=False):
            s.oval(x + 0.14 * np.cos(a), y + 0.14 * np.sin(a), 0.1, 0.1, petal, outline=0.7)
        s.oval(x, y, 0.085, 0.085, heart, outline=0.5)


def cactus(s: Sketch, rng: np.random.Generator, base: float, green: Color) -> None:
    skin = Fill(green, tone(green, 0.7), "stripes", 0.11, roundness=0.6)
    height = base + rng.uniform(0.8, 1.05)
    for side, y in ((-1, base + 0.35), (1, base + 0.5)):
        s.rod([(0.0, y), (side * 0.4, y + 0.02), (side * 0.42, y + 0.36)], 0.2, skin)
    s.rod([(0.0, base), (0.0, height)], 0.36, skin)
    s.oval(0.0, height + 0.17, 0.1, 0.07, random_color(rng, saturation=0.8))


def palm(s: Sketch, rng: np.random.Generator, base: float, green: Color) -> None:
    """A palm with long arching leaves."""
    for angle in np.concatenate([np.linspace(10, 170, 9), np.linspace(30, 150, 5)]) + rng.uniform(-6, 6, 14):
        reach, rise = 0.95 * np.cos(np.radians(angle)), 1.15 * np.sin(np.radians(angle))
        tint = Fill(tone(green, rng.uniform(0.6, 1.2)), roundness=0.3)
        s.rod(
            [(0.0, base), (reach * 0.5, base + rise * 0.75 + 0.12), (reach, base + rise * 0.8)], [0.1, 0.16, 0.03], tint
        )


def tvmonitor(rng: np.random.Generator) -> Sketch:
    s = Sketch()
    frame = (44, 42, 48) if rng.uniform() < 0.45 else random_color(rng, saturation=0.35)
    edge, width, height = rng.uniform(0.07, 0.14), rng.uniform(1.7, 2.1), rng.uniform(1.05, 1.3)
    old = rng.uniform() < 0.35
    base = 0.14 if old else 0.34
    if old:
        width = 1.65
        for side in (-1, 1):
            s.rod(
                [(width / 2 - 0.12 + side * 0.02, base + height), (width / 2 + side * 0.5, base + height + 0.55)],
                0.04,
                (150, 150, 156),
            )
            s.oval(width / 2 + side * 0.5, base + height + 0.55, 0.05, 0.05, (150, 150, 156))
            s.rod(
                [(width / 2 + side * width * 0.34, 0.14), (width / 2 + side * width * 0.4, 0.03)], 0.1, tone(frame, 0.6)
            )
    else:
        s.oval(width / 2, 0.05, 0.42, 0.07, Fill(tone(frame, 0.8), roundness=0.4))
        s.box(width / 2 - 0.1, 0.06, width / 2 + 0.1, base + 0.05, tone(frame, 0.7))
    s.box(0.0, base, width, base + height, Fill(frame, roundness=0.3), corner=0.12 if old else 0.05)
    x0, y0, x1, y1 = edge, base + edge, width - edge - 0.34 * old, base + height - edge
    if old:
        for y in (0.8, 0.55):
            s.oval(width - 0.21, base + height * y, 0.09, 0.09, (200, 196, 190))
        s.box(
            width - 0.31,
            base + 0.14,
            width - 0.11,
            base + 0.4,
            Fill((60, 56, 60), (150, 146, 146), "bands", 0.07),
            outline=0.5,
        )
    else:
        s.oval(width - 0.12, base + edge * 0.45, 0.025, 0.025, (110, 230, 120), outline=0)
    screen(s, rng, x0, y0, x1, y1)
    return s


def screen(s: Sketch, rng: np.random.Generator, x0: float, y0: float, x1: float, y1: float) -> None:
    """The image on a screen: none, a landscape, a desktop with windows, or a test card."""
    kind = rng.integers(4)
    dark = (36, 44, 56) if rng.uniform() < 0.6 else random_color(rng)
    s.box(x0, y0, x1, y1, dark, corner=0.05, outline=0.7)
    width, height = x1 - x0, y1 - y0
    if kind == 1:
        s.box(x0, y0 + height * 0.4, x1, y1, mix_colors((150, 200, 236), random_color(rng), 0.25), outline=0)
        s.oval(x0 + width * 0.75, y0 + height * 0.75, 0.13, 0.13, (250, 220, 110), outline=0)
        s.poly(
            [(x0, y0 + height * 0.35), (x0 + width * 0.3, y0 + height * 0.72), (x0 + width * 0.55, y0 + height * 0.35)],
            (120, 120, 140),
            outline=0.4,
        )
        s.box(x0, y0, x1, y0 + height * 0.4, (96, 160, 84), outline=0)
    elif kind == 2:
        for _ in range(3):
            wx, wy = x0 + rng.uniform(0.05, 0.5) * width, y0 + rng.uniform(0.1, 0.45) * height
            s.box(wx, wy, wx + width * 0.38, wy + height * 0.42, (238, 238, 240), outline=0.5)
            s.box(wx, wy + height * 0.36, wx + width * 0.38, wy + height * 0.42, random_color(rng), outline=0)
            for line in (0.1, 0.18, 0.26):
                s.rod(
                    [(wx + 0.05, wy + height * line), (wx + width * rng.uniform(0.15, 0.33), wy + height * line)],
                    0.03,
                    (150, 150, 160),
                    outline=0,
                )
    elif kind == 3:
        bars = (
            (240, 240, 240),
            (230, 220, 70),
            (80, 210, 220),
            (90, 200, 90),
            (210, 90, 200),
            (220, 70, 60),
            (70, 80, 210),
        )
        for k, bar in enumerate(bars):
            s.box(x0 + width * k / 7, y0, x0 + width * (k + 1) / 7, y1, bar, outline=0)
    glare = Fill((255, 255, 255), opacity=0.22)
    s.poly([(x0 + width * 0.08, y0 + height * 0.5), (x0 + width * 0.4, y1 - 0.03),
            (x0 + width * 0.52, y1 - 0.03), (x0 + width * 0.08, y0 + height * 0.25)], glare, outline=0)  # fmt: skip
