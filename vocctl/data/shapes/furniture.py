"""Chair, dining table and sofa, seen slightly from above: depth runs up and to the right.

Units: a chair's seat is about 1 wide.
"""

from itertools import pairwise

import numpy as np

from vocctl.data.shapes.fills import Color, Fill, mix_colors, random_color, random_pattern, tone
from vocctl.data.shapes.sketch import Sketch

WOODS: tuple[Color, ...] = ((196, 144, 92), (140, 92, 58), (92, 62, 48), (224, 190, 140), (236, 232, 224))


def wood(rng: np.random.Generator) -> Color:
    """A color of wood, or with probability 1/3 any color."""
    return (
        random_color(rng)
        if rng.uniform() < 0.33
        else mix_colors(WOODS[rng.integers(len(WOODS))], random_color(rng), 0.12)
    )


def slab(s: Sketch, x: float, y: float, wide: float, thick: float, shift: float, rise: float, top: Fill) -> None:
    """A board. (x, y): lower left corner of its front; (shift, rise): from the front edge to the back edge."""
    y1 = y + thick
    s.poly([(x, y1), (x + wide, y1), (x + wide + shift, y1 + rise), (x + shift, y1 + rise)], top)
    s.poly(
        [(x + wide, y), (x + wide, y1), (x + wide + shift, y1 + rise), (x + wide + shift, y + rise)],
        top.with_tone(0.55),
    )
    s.poly([(x, y), (x + wide, y), (x + wide, y1), (x, y1)], top.with_tone(0.75))


def chair(rng: np.random.Generator) -> Sketch:
    if rng.uniform() < 0.2:
        return office_chair(rng)
    s = Sketch()
    color = wood(rng)
    frame, seat = (
        Fill(color),
        random_pattern(random_color(rng), rng, kinds=("checks", "bands", "spots"), scale=0.2, chance=0.35),
    )
    if rng.uniform() < 0.5:
        seat = frame.with_tone(1.15)
    shift, rise, seat_y, back_height = (
        rng.uniform(0.18, 0.4),
        rng.uniform(0.22, 0.34),
        rng.uniform(0.72, 0.85),
        rng.uniform(0.8, 1.05),
    )
    leg = rng.uniform(0.1, 0.13)
    back = Sketch()
    x0, x1, y0 = shift, 0.9 + shift, seat_y + rise
    y1 = y0 + back_height
    style = rng.integers(3)  # of the back: horizontal bars, vertical bars, a padded panel
    if style == 2:
        back.box(x0 + 0.02, y0 + 0.22, x1 - 0.02, y1, seat.with_roundness(0.5), corner=0.1)
    elif style == 1:
        for x in np.linspace(x0, x1, 6)[1:-1]:
            back.rod([(x, y0), (x, y1 - 0.04)], 0.065, frame.with_tone(0.85))
    else:
        for fraction in (0.32, 0.62, 0.93):
            y = y0 + back_height * fraction
            back.rod([(x0, y), ((x0 + x1) / 2, y + 0.03), (x1, y)], 0.12, frame)
    for x in (x0, x1):
        s.rod([(x, rise), (x, y0)], leg, frame.with_tone(0.65))
    s.shapes += back.shapes
    for x in (x0, x1):
        s.rod([(x, y0 - 0.03), (x, y1)], leg, frame)
    if style == 1:
        s.rod([(x0 - 0.03, y1), ((x0 + x1) / 2, y1 + 0.06), (x1 + 0.03, y1)], 0.15, frame)
    s.rod([(0.05, 0.32), (0.85, 0.32)], 0.06, frame.with_tone(0.8))
    for x in (0.05, 0.88):
        s.rod([(x, 0.05), (x, seat_y - 0.02)], leg, frame)
    slab(s, -0.03, seat_y - 0.08, 1.0, 0.12, shift, rise, seat)
    return s


def office_chair(rng: np.random.Generator) -> Sketch:
    s = Sketch()
    cloth, metal = Fill(random_color(rng), roundness=0.6), Fill((96, 96, 102), roundness=0.3)
    for x, y in ((-0.42, 0.06), (-0.2, 0.02), (0.22, 0.02), (0.44, 0.06)):
        s.rod([(0.0, 0.22), (x, y + 0.08)], [0.1, 0.07], metal)
        s.oval(x, y + 0.05, 0.06, 0.06, (44, 42, 46))
    s.rod([(0.0, 0.2), (0.0, 0.62)], 0.1, metal)
    s.rod([(0.0, 0.64), (0.3, 0.8), (0.28, 1.1)], 0.09, metal)
    s.box(-0.3, 0.92, 0.5, 1.72, cloth, corner=0.16)
    s.box(-0.16, 1.06, 0.36, 1.56, cloth.with_tone(0.8), corner=0.12, outline=0.5)
    s.blob([(-0.48, 0.7), (-0.3, 0.86), (0.46, 0.86), (0.5, 0.7), (0.4, 0.6), (-0.4, 0.6)], cloth)
    for x in (-0.48, 0.52):
        s.rod([(x * 0.9, 0.68), (x * 1.08, 0.86), (x * 1.06, 1.02)], 0.07, metal, bent=False)
        s.rod([(x * 1.06 - 0.14, 1.03), (x * 1.06 + 0.1, 1.03)], 0.1, (52, 50, 54))
    return s


def diningtable(rng: np.random.Generator) -> Sketch:
    s = Sketch()
    color = wood(rng)
    top, leg = Fill(color, tone(color, 0.85), "bands", 0.12), Fill(tone(color, 0.85), roundness=0.4)
    cloth = rng.uniform() < 0.35
    if cloth:
        top = random_pattern(random_color(rng), rng, kinds=("checks", "bands"), scale=0.26, chance=0.7)
    width, top_y, depth = rng.uniform(1.9, 2.3), rng.uniform(0.8, 0.95), rng.uniform(0.4, 0.55)
    if rng.uniform() < 0.4:
        middle = width / 2
        s.rod([(middle, 0.2), (middle, top_y)], [0.2, 0.14], leg)
        for x, y in ((-0.45, 0.05), (0.45, 0.05), (-0.2, 0.22), (0.2, 0.22)):
            s.rod([(middle, 0.26), (middle + x, y + 0.04)], [0.14, 0.1], leg)
        s.oval(middle, top_y + 0.06, width / 2, depth / 2 + 0.05, top.with_tone(0.6))
        s.oval(middle, top_y + 0.14, width / 2, depth / 2 + 0.05, top)
        setting(s, rng, middle, top_y + 0.15, width * 0.6, depth * 0.6)
        return s
    shift = rng.uniform(0.2, 0.5)
    far_x = width + shift  # right end of the far edge
    for x, y, tint in (
        (shift + 0.12, depth * 0.85, 0.6),
        (width + shift - 0.14, depth * 0.85, 0.6),
        (0.1, 0.0, 1.0),
        (width - 0.1, 0.0, 1.0),
    ):
        s.rod([(x, y + 0.06), (x, y + top_y - 0.1)], [0.11, 0.15], leg.with_tone(tint), bent=False)
    if cloth:
        s.poly(
            [
                (0.0, top_y),
                (width, top_y),
                (width, top_y - 0.24),
                (width * 0.75, top_y - 0.3),
                (width * 0.5, top_y - 0.22),
                (width * 0.25, top_y - 0.3),
                (0.0, top_y - 0.24),
            ],
            top.with_tone(0.75),
        )
        s.poly(
            [(width, top_y), (far_x, top_y + depth), (far_x, top_y + depth - 0.22), (width, top_y - 0.24)],
            top.with_tone(0.55),
        )
    else:
        s.box(0.06, top_y - 0.2, width - 0.06, top_y - 0.06, leg.with_tone(0.75))
    slab(s, 0.0, top_y - 0.07, width, 0.08, shift, depth, top)
    setting(s, rng, width / 2 + shift / 2, top_y + depth / 2, width * 0.7, depth * 0.6)
    return s


def setting(s: Sketch, rng: np.random.Generator, x: float, y: float, wide: float, deep: float) -> None:
    """Plates, cups and fruit on a table top with its center at (x, y)."""
    for slot in rng.permutation(3)[: rng.integers(1, 4)]:
        px, py = x + wide * (slot - 1) * 0.42, y + rng.uniform(-0.3, 0.3) * deep
        kind = rng.integers(3)
        if kind == 0:
            s.oval(px, py, 0.22, 0.085, (244, 242, 238))
            s.oval(px, py, 0.13, 0.05, random_color(rng), outline=0.5)
        elif kind == 1:
            cup = random_color(rng)
            s.oval(px + 0.12, py + 0.1, 0.06, 0.06, cup)
            s.box(px - 0.1, py, px + 0.1, py + 0.19, Fill(cup, roundness=0.5), corner=0.04)
            s.oval(px, py + 0.18, 0.1, 0.035, tone(cup, 0.5), outline=0.5)
        else:
            for dx, dy in ((-0.1, 0.08), (0.1, 0.08), (0.0, 0.14)):
                s.oval(
                    px + dx,
                    py + dy,
                    0.085,
                    0.085,
                    Fill(((210, 60, 50), (230, 170, 50), (120, 180, 70))[rng.integers(3)], roundness=0.8),
                )
            s.blob(
                [(px - 0.24, py + 0.08), (px + 0.24, py + 0.08), (px + 0.12, py - 0.05), (px - 0.12, py - 0.05)],
                (200, 206, 214),
            )


def sofa(rng: np.random.Generator) -> Sketch:
    s = Sketch()
    cloth = random_pattern(
        random_color(rng, saturation=0.5), rng, kinds=("bands", "stripes", "checks", "grain"), scale=0.24, chance=0.35
    ).with_roundness(0.5)
    width, seats = rng.uniform(1.9, 2.6), int(rng.integers(2, 4))
    back_y, arm = rng.uniform(1.0, 1.2), rng.uniform(0.26, 0.34)
    for x in (0.16, width - 0.16):
        s.rod([(x, 0.03), (x, 0.16)], 0.09, (84, 58, 44))
    s.box(0.12, 0.3, width - 0.12, back_y, cloth.with_tone(0.85), corner=0.16)
    edges = np.linspace(arm * 0.8, width - arm * 0.8, seats + 1)
    for left, right in pairwise(edges):
        s.box(left + 0.01, 0.5, right - 0.01, back_y - 0.05, cloth, corner=0.1, outline=0.8)
    s.box(0.1, 0.12, width - 0.1, 0.42, cloth.with_tone(0.7), corner=0.05)
    for left, right in pairwise(edges):
        s.box(left, 0.36, right, 0.6, cloth.with_tone(1.15), corner=0.09, outline=0.8)
    for side in rng.permutation(2)[: rng.integers(0, 3)]:
        pillow = random_pattern(
            random_color(rng), rng, kinds=("checks", "spots", "bands"), scale=0.13, chance=0.6
        ).with_roundness(0.6)
        cushion = Sketch()
        cushion.blob(
            [(-0.2, -0.2), (0.0, -0.17), (0.2, -0.2), (0.17, 0.0), (0.2, 0.2), (0.0, 0.17), (-0.2, 0.2), (-0.17, 0.0)],
            pillow,
        )
        s.add(cushion, arm + 0.22 if side else width - arm - 0.22, 0.78, tilt=rng.uniform(-25, 25))
    for x in (0.0, width - arm):
        s.box(x, 0.1, x + arm, 0.66, cloth.with_tone(0.9), corner=0.06)
        s.oval(x + arm / 2, 0.7, arm * 0.62, 0.14, cloth)
    return s
