"""Bicycle, motorbike, car and bus, from the side, facing right; the car also from the front, the bus also half turned.

They have no common scale: a bicycle, a motorbike and a car are each about 2 units long, a bus is 2.2 to 2.7 units long.
"""

from itertools import pairwise

import numpy as np

from vocctl.data.shapes.fills import Color, Fill, mix_colors, random_color, tone
from vocctl.data.shapes.sketch import Point, Sketch

TIRE: Color = (44, 42, 46)
STEEL: Color = (190, 192, 198)
HEADLIGHT: Color = (252, 236, 170)
TAIL_LIGHT: Color = (206, 50, 46)


def glass(rng: np.random.Generator) -> Fill:
    return Fill(mix_colors((150, 190, 215), random_color(rng, saturation=0.2), rng.uniform(0, 0.5)))


def wheel(sketch: Sketch, x: float, y: float, radius: float) -> None:
    """A wheel of a car or bus: a tire, and a rim with five holes and a hub."""
    sketch.oval(x, y, radius, radius, TIRE)
    sketch.oval(x, y, radius * 0.62, radius * 0.62, Fill(STEEL, roundness=0.4), outline=0.6)
    for angle in np.linspace(0.3, 0.3 + 2 * np.pi, 5, endpoint=False):
        sketch.oval(
            x + np.cos(angle) * radius * 0.36,
            y + np.sin(angle) * radius * 0.36,
            radius * 0.1,
            radius * 0.1,
            TIRE,
            outline=0,
        )
    sketch.oval(x, y, radius * 0.13, radius * 0.13, tone(STEEL, 0.6), outline=0)


def _bicycle_wheel(s: Sketch, x: float, y: float, radius: float, rim: Color, rng: np.random.Generator) -> None:
    """Twelve spokes, tire, rim and hub, over a transparent disc, so that the mask covers the whole wheel."""
    s.oval(x, y, radius, radius, Fill(mix_colors(rim, (120, 120, 120), 0.5), opacity=0.22), outline=0)
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False) + rng.uniform(0, 1)
    for a in angles:
        s.rod([(x, y), (x + np.cos(a) * radius * 0.94, y + np.sin(a) * radius * 0.94)], 0.012, rim, outline=0)
    ring = [(x + np.cos(a) * radius * 0.94, y + np.sin(a) * radius * 0.94) for a in np.linspace(0, 2 * np.pi, 26)]
    s.rod(ring, 0.085, TIRE, outline=0)
    s.rod([(x + (px - x) * 0.92, y + (py - y) * 0.92) for px, py in ring], 0.025, STEEL, outline=0)
    s.oval(x, y, 0.045, 0.045, STEEL)


def _bicycle_handlebar(s: Sketch, grip: Point, rng: np.random.Generator) -> None:
    """A drop bar or a flat bar."""
    has_drop_bar = rng.uniform() < 0.45
    if has_drop_bar:
        s.rod(
            [grip, (grip[0] + 0.2, grip[1] + 0.02), (grip[0] + 0.22, grip[1] - 0.12), (grip[0] + 0.1, grip[1] - 0.16)],
            0.055,
            TIRE,
        )
    else:
        s.rod([grip, (grip[0] + 0.06, grip[1] + 0.08), (grip[0] - 0.18, grip[1] + 0.1)], 0.055, TIRE)


def bicycle(rng: np.random.Generator) -> Sketch:
    s = Sketch()
    frame = random_color(rng, saturation=0.75)
    paint, rim, radius = Fill(frame, roundness=0.3), tone(STEEL, rng.uniform(0.6, 1.0)), rng.uniform(0.4, 0.45)
    wheelbase = rng.uniform(1.08, 1.25)
    rear, front = (0.0, radius), (wheelbase, radius)
    for x, y in (rear, front):
        _bicycle_wheel(s, x, y, radius, rim, rng)
    crank, seat, neck = (
        (wheelbase * 0.42, radius * 0.85),
        (wheelbase * 0.3, radius + 0.5),
        (wheelbase - 0.2, radius + 0.54),
    )
    grip = (neck[0] - 0.02, neck[1] + 0.16)
    # frame, fork and seat post
    for ends in ((rear, crank), (rear, seat), (crank, seat), (crank, neck)):
        s.rod(ends, 0.065, paint)
    if rng.uniform() < 0.7:
        s.rod([seat, neck], 0.065, paint)
    s.rod([front, (neck[0] + 0.02, neck[1] - 0.05), grip], 0.06, paint, bent=False)
    s.rod([seat, (seat[0] - 0.04, seat[1] + 0.13)], 0.05, STEEL)
    # saddle
    s.blob([(seat[0] - 0.2, seat[1] + 0.2), (seat[0] - 0.1, seat[1] + 0.12), (seat[0] + 0.14, seat[1] + 0.15),
            (seat[0] + 0.13, seat[1] + 0.2)], TIRE)  # fmt: skip
    _bicycle_handlebar(s, grip, rng)
    # basket
    if rng.uniform() < 0.35:
        s.box(
            neck[0] + 0.06,
            neck[1] - 0.02,
            neck[0] + 0.4,
            neck[1] + 0.22,
            Fill((186, 140, 84), (130, 90, 50), "checks", 0.07),
            corner=0.04,
        )
    # chainring, cranks and pedals
    s.oval(*crank, 0.1, 0.1, STEEL)
    s.oval(*crank, 0.05, 0.05, TIRE, outline=0)
    crank_angle = rng.uniform(0, np.pi)
    for side in (0, np.pi):
        px, py = crank[0] + 0.2 * np.cos(crank_angle + side), crank[1] + 0.2 * np.sin(crank_angle + side)
        s.rod([crank, (px, py)], 0.04, tone(STEEL, 0.7), outline=0.6)
        s.rod([(px - 0.07, py), (px + 0.07, py)], 0.05, TIRE)
    return s


def _motorbike_wheel(s: Sketch, x: float, radius: float) -> None:
    """Tire, rim, hub and six spokes."""
    s.oval(x, radius, radius, radius, TIRE)
    s.oval(x, radius, radius * 0.6, radius * 0.6, tone(STEEL, 0.75), outline=0.6)
    s.oval(x, radius, radius * 0.42, radius * 0.42, tone(STEEL, 0.45), outline=0)
    for a in np.linspace(0.4, 0.4 + 2 * np.pi, 6, endpoint=False):
        s.rod([(x, radius), (x + np.cos(a) * radius * 0.5, radius + np.sin(a) * radius * 0.5)], 0.05, STEEL, outline=0)


def _motorbike_engine(s: Sketch, radius: float) -> None:
    """Swing arm, engine with cooling fins, and exhaust."""
    s.rod([(0.0, radius), (0.42, radius + 0.02)], 0.1, tone(STEEL, 0.5))
    s.blob(
        [(0.36, 0.16), (0.3, 0.5), (0.5, 0.62), (0.84, 0.6), (0.92, 0.3), (0.8, 0.14)],
        Fill((92, 90, 96), roundness=0.6),
    )
    for y in (0.28, 0.36, 0.44, 0.52):
        s.rod([(0.48, y), (0.8, y + 0.02)], 0.035, STEEL, outline=0.4)
    s.rod([(0.78, 0.2), (0.5, 0.15), (0.0, 0.22), (-0.3, 0.27)], [0.08, 0.1, 0.13, 0.15], Fill(STEEL, roundness=0.8))


def _motorbike_fairing(s: Sketch, wheelbase: float, paint: Fill) -> None:
    """Fairing and windshield."""
    s.blob(
        [
            (wheelbase - 0.34, 0.7),
            (wheelbase - 0.38, 1.0),
            (wheelbase - 0.16, 1.2),
            (wheelbase + 0.0, 0.92),
            (wheelbase + 0.06, 0.74),
        ],
        paint,
    )
    s.poly(
        [(wheelbase - 0.32, 1.02), (wheelbase - 0.22, 1.28), (wheelbase - 0.07, 1.02)],
        Fill((190, 214, 226), opacity=0.8),
    )


def motorbike(rng: np.random.Generator) -> Sketch:
    s = Sketch()
    color = random_color(rng, saturation=0.75)
    paint, radius, wheelbase = Fill(color, roundness=0.8), rng.uniform(0.34, 0.38), rng.uniform(1.2, 1.35)
    for x in (0.0, wheelbase):
        _motorbike_wheel(s, x, radius)
    _motorbike_engine(s, radius)
    # fork and front fender
    grip = (wheelbase - 0.36, 1.06)
    s.rod([(wheelbase, radius), (wheelbase - 0.28, 0.86), grip], [0.09, 0.09, 0.07], STEEL, bent=False)
    s.blob(
        [
            (wheelbase - 0.3, radius + 0.3),
            (wheelbase, radius + 0.46),
            (wheelbase + 0.34, radius + 0.28),
            (wheelbase + 0.36, radius + 0.18),
            (wheelbase, radius + 0.36),
            (wheelbase - 0.28, radius + 0.2),
        ],
        paint,
    )
    # tail, seat and tank with a highlight
    s.blob([(-0.34, 0.72), (-0.3, 0.85), (0.1, 0.8), (0.4, 0.7), (0.2, 0.55), (-0.1, 0.62)], paint)
    s.oval(-0.32, 0.74, 0.06, 0.05, TAIL_LIGHT)
    s.blob([(-0.28, 0.86), (-0.2, 0.94), (0.1, 0.9), (0.42, 0.88), (0.48, 0.76), (0.1, 0.78)], TIRE)
    s.blob([(0.4, 0.72), (0.46, 0.92), (0.7, 1.0), (0.92, 0.9), (0.96, 0.72), (0.7, 0.64)], paint)
    s.blob([(0.52, 0.76), (0.7, 0.84), (0.88, 0.78), (0.7, 0.74)], tone(color, 1.8), outline=0)
    # handlebar
    s.rod([(grip[0] + 0.06, 1.0), grip, (grip[0] - 0.2, 1.12)], 0.07, TIRE)
    if rng.uniform() < 0.5:
        _motorbike_fairing(s, wheelbase, paint)
    # headlight and mirror
    s.oval(wheelbase - 0.12, 0.86, 0.12, 0.13, Fill(HEADLIGHT, roundness=0.5))
    s.rod([(grip[0], 1.08), (grip[0] + 0.03, 1.26)], 0.03, STEEL)
    s.oval(grip[0] + 0.02, 1.28, 0.08, 0.05, STEEL)
    return s


def car(rng: np.random.Generator) -> Sketch:
    if rng.uniform() < 0.28:
        return car_front(rng)
    s = Sketch()
    color = random_color(rng, saturation=0.6)
    paint, pane = Fill(color, roundness=0.7), glass(rng)
    kind = rng.integers(3)  # sedan, hatchback, van
    roof = rng.uniform(0.88, 1.02)
    rear, front = (((0.1, 0.42), (1.44, 1.12)), ((0.06, 0.2), (1.46, 1.1)), ((0.04, 0.1), (1.6, 1.3)))[kind]
    # underbody and body
    s.poly([(0.12, 0.16), (1.9, 0.16), (1.9, 0.3), (0.12, 0.3)], TIRE)
    s.blob([(0.02, 0.22), (0.0, 0.42), (0.05, 0.6), (rear[0] + 0.1, 0.64),
            (rear[1] + 0.06, roof - 0.05), (rear[1] + 0.3, roof), (front[1] - 0.15, roof),
            (front[1] + 0.05, roof - 0.06), (front[0], 0.64), (1.85, 0.55), (2.0, 0.4), (1.98, 0.22),
            (1.0, 0.18)], paint)  # fmt: skip
    # windows, with a reflection in the front one
    middle = (rear[1] + front[1]) / 2 + 0.05
    s.poly(
        [(rear[0] + 0.18, 0.62), (rear[1] + 0.16, roof - 0.07), (middle - 0.04, roof - 0.06), (middle - 0.04, 0.62)],
        pane,
    )
    s.poly(
        [(middle + 0.04, 0.62), (middle + 0.04, roof - 0.06), (front[1] - 0.02, roof - 0.07), (front[0] - 0.08, 0.62)],
        pane,
    )
    s.poly(
        [(middle + 0.1, 0.63), (middle + 0.22, roof - 0.07), (middle + 0.3, roof - 0.07), (middle + 0.18, 0.63)],
        tone(pane.color, 2.2),
        outline=0,
    )
    # door gap, handle and trim
    s.rod([(middle, 0.62), (middle - 0.01, 0.26)], 0.018, tone(color, 0.5), outline=0)
    s.rod([(middle - 0.16, 0.54), (middle - 0.06, 0.54)], 0.03, tone(color, 0.4), outline=0)
    s.rod([(0.1, 0.34), (1.9, 0.33)], 0.02, tone(color, 0.6), outline=0)
    # lights, then wheels in their arches
    s.oval(1.9, 0.44, 0.075, 0.055, HEADLIGHT)
    s.box(0.015, 0.4, 0.1, 0.52, TAIL_LIGHT, corner=0.02)
    for x in (0.42, 1.55):
        s.oval(x, 0.24, 0.27, 0.27, tone(color, 0.3), outline=0)
        wheel(s, x, 0.21, 0.21)
    return s


def car_front(rng: np.random.Generator) -> Sketch:
    s = Sketch()
    color = random_color(rng, saturation=0.6)
    paint, pane = Fill(color, roundness=0.6), glass(rng)
    half_width, roof = rng.uniform(0.62, 0.7), rng.uniform(1.0, 1.12)
    # tires and mirrors
    for side in (-1, 1):
        s.box(side * half_width * 0.78 - 0.12, 0.0, side * half_width * 0.78 + 0.12, 0.34, TIRE, corner=0.05)
        s.oval(side * (half_width + 0.06), 0.72, 0.1, 0.06, paint)
    # roof, windshield and its reflection
    s.poly(
        [(-half_width * 0.92, 0.6), (-half_width * 0.68, roof), (half_width * 0.68, roof), (half_width * 0.92, 0.6)],
        paint,
    )
    s.poly(
        [
            (-half_width * 0.78, 0.62),
            (-half_width * 0.6, roof - 0.07),
            (half_width * 0.6, roof - 0.07),
            (half_width * 0.78, 0.62),
        ],
        pane,
    )
    s.poly(
        [
            (-half_width * 0.3, 0.64),
            (-half_width * 0.1, roof - 0.08),
            (half_width * 0.1, roof - 0.08),
            (-half_width * 0.05, 0.64),
        ],
        tone(pane.color, 2.2),
        outline=0,
    )
    # body, grille, license plate and headlights
    s.box(-half_width, 0.14, half_width, 0.66, paint, corner=0.14)
    s.box(-half_width * 0.45, 0.34, half_width * 0.45, 0.5, Fill(TIRE, tone(STEEL, 0.7), "bands", 0.06), corner=0.04)
    s.box(-half_width * 0.3, 0.2, half_width * 0.3, 0.3, (236, 232, 214), outline=0.6)
    for side in (-1, 1):
        s.oval(side * half_width * 0.74, 0.46, 0.13, 0.1, Fill(HEADLIGHT, roundness=0.5))
    return s


def bus(rng: np.random.Generator) -> Sketch:
    s = Sketch()
    color = random_color(rng, saturation=0.65)
    paint, pane = Fill(color, roundness=0.35), glass(rng)
    if rng.uniform() < 0.3:
        return bus_three_quarter(rng, color, pane)
    length, decks = rng.uniform(2.2, 2.7), 2 if rng.uniform() < 0.3 else 1
    roof = 1.15 + 0.62 * (decks - 1)
    # body and stripe
    s.box(0.0, 0.16, length, roof, paint, corner=0.12)
    stripe = random_color(rng)
    s.box(0.02, 0.36, length - 0.02, 0.48, stripe, outline=0)
    # windows with reflections
    for deck in range(decks):
        bottom, top = 0.6 + 0.6 * deck, 1.0 + 0.6 * deck
        count = int(rng.integers(4, 6))
        edges = np.linspace(0.1, length - 0.5, count + 1)
        for left, right in pairwise(edges):
            s.box(left + 0.03, bottom, right - 0.03, top, pane, corner=0.04, outline=0.8)
            s.poly(
                [
                    (left + 0.08, bottom + 0.04),
                    (left + 0.18, top - 0.04),
                    (left + 0.25, top - 0.04),
                    (left + 0.15, bottom + 0.04),
                ],
                tone(pane.color, 2.0),
                outline=0,
            )
    # door and windshield
    s.box(length - 0.44, 0.24, length - 0.14, 1.02, tone(pane.color, 0.8), corner=0.03)
    s.rod([(length - 0.29, 0.26), (length - 0.29, 1.0)], 0.03, color, outline=0.4)
    s.poly([(length - 0.1, 0.56), (length - 0.1, 1.04), (length, 1.02), (length, 0.56)], pane)
    # lights, then wheels in their arches
    s.oval(length - 0.03, 0.34, 0.05, 0.06, HEADLIGHT)
    s.box(0.0, 0.3, 0.05, 0.44, TAIL_LIGHT)
    for x in (0.45, length - 0.72):
        s.oval(x, 0.22, 0.26, 0.26, tone(color, 0.35), outline=0)
        wheel(s, x, 0.2, 0.2)
    return s


def bus_three_quarter(rng: np.random.Generator, color: Color, pane: Fill) -> Sketch:
    """A bus, half turned: its front, and its side receding to the left."""
    s = Sketch()
    height, depth = rng.uniform(1.35, 1.6), rng.uniform(0.7, 1.1)
    shrink = 0.78
    side: list[Point] = [(0.0, 0.15), (0.0, height), (-depth, height * shrink + 0.16), (-depth, 0.36)]
    # tires and side
    for x in (-depth * 0.75, -0.2):
        s.oval(x, 0.2 - x * 0.17, 0.11, 0.19, TIRE)
    s.poly(side, Fill(tone(color, 0.7)))
    # windows of the side: distances from the front corner, in depths
    for near, far in ((0.06, 0.28), (0.34, 0.55), (0.61, 0.8), (0.85, 0.97)):
        low, top = (lambda t: 0.68 + 0.13 * t), (lambda t: height - 0.22 + t * (height * shrink + 0.08 - height + 0.16))
        s.poly(
            [
                (-depth * near, low(near)),
                (-depth * near, top(near)),
                (-depth * far, top(far)),
                (-depth * far, low(far)),
            ],
            pane.with_tone(0.75),
            outline=0.7,
        )
    # front, destination sign with letters, windshield and its reflection
    s.box(0.0, 0.12, 0.95, height, Fill(color, roundness=0.3), corner=0.09)
    s.box(0.1, height - 0.2, 0.85, height - 0.06, (40, 40, 44), corner=0.03)
    for x in np.linspace(0.2, 0.72, 5):
        s.box(x, height - 0.16, x + 0.06, height - 0.1, (250, 190, 70), outline=0)
    s.box(0.07, 0.62, 0.88, height - 0.26, pane, corner=0.06)
    s.poly([(0.16, 0.64), (0.34, height - 0.28), (0.48, height - 0.28), (0.3, 0.64)], tone(pane.color, 2.0), outline=0)
    # grille, headlights and front tires
    s.box(0.26, 0.28, 0.69, 0.42, tone(color, 0.45), corner=0.03)
    for x in (0.14, 0.81):
        s.oval(x, 0.36, 0.08, 0.08, HEADLIGHT)
    for x in (0.08, 0.72):
        s.box(x, 0.0, x + 0.16, 0.14, TIRE)
    return s
