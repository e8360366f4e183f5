"""Aeroplane, boat and train: from the side, facing right; the aeroplane also from above, the train from the front.

Units: each is about 2 long.
"""

import numpy as np

from vocctl.data.shapes.fills import Color, Fill, mix_colors, random_color, tone
from vocctl.data.shapes.road_vehicles import HEADLIGHT, STEEL, TIRE, glass
from vocctl.data.shapes.sketch import Sketch


def aeroplane(rng: np.random.Generator) -> Sketch:
    color = mix_colors(random_color(rng, saturation=0.5), (240, 240, 244), rng.choice([0.0, 0.5, 0.85]))
    body, accent = Fill(color, roundness=0.8), random_color(rng, saturation=0.8)
    kind = rng.choice(3, p=[0.5, 0.25, 0.25])
    return (airliner, from_above, propeller)[kind](rng, body, accent)


def airliner(rng: np.random.Generator, body: Fill, accent: Color) -> Sketch:
    s = Sketch(airborne=True)
    far = body.with_tone(0.65)
    s.poly([(0.95, 0.42), (0.62, 0.86), (0.48, 0.86), (0.6, 0.42)], far)
    s.poly([(0.16, 0.46), (-0.1, 0.68), (-0.2, 0.68), (-0.06, 0.44)], far)
    s.poly([(0.34, 0.46), (0.06, 1.0), (-0.16, 1.02), (-0.08, 0.46)], accent)
    s.blob(
        [
            (-0.12, 0.5),
            (0.2, 0.54),
            (1.0, 0.56),
            (1.7, 0.54),
            (1.95, 0.42),
            (2.02, 0.33),
            (1.85, 0.22),
            (1.4, 0.18),
            (0.6, 0.2),
            (0.1, 0.36),
        ],
        body,
    )
    s.blob([(1.78, 0.44), (1.86, 0.44), (1.93, 0.38), (1.78, 0.37)], glass(rng), outline=0.5)
    for x in np.linspace(0.42, 1.62, 11):
        s.oval(x, 0.42, 0.032, 0.04, tone(glass(rng).color, 0.55), outline=0)
    s.poly([(0.1, 0.32), (1.88, 0.31), (1.8, 0.25), (0.3, 0.26)], accent, outline=0)
    s.poly([(0.22, 0.42), (-0.18, 0.3), (-0.3, 0.32), (-0.06, 0.46)], body.with_tone(0.85))
    s.box(0.78, -0.02, 1.1, 0.14, Fill(tone(body.color, 0.75), roundness=0.7), corner=0.07)
    s.poly([(1.22, 0.3), (0.46, -0.24), (0.26, -0.22), (0.74, 0.31)], body.with_tone(0.88))
    return s


def from_above(rng: np.random.Generator, body: Fill, accent: Color) -> Sketch:
    s = Sketch(airborne=True)
    sweep, span = rng.uniform(0.25, 0.6), rng.uniform(0.85, 1.05)
    for side in (-1, 1):
        s.box(
            1.0,
            side * 0.42 - 0.07,
            1.3,
            side * 0.42 + 0.07,
            Fill(tone(body.color, 0.6), roundness=0.6),
            corner=0.06,
        )
        s.poly(
            [(1.32, side * 0.1), (1.1 - sweep, side * span), (0.9 - sweep, side * span), (0.82, side * 0.1)],
            body.with_tone(0.9),
        )
        s.poly(
            [
                (1.16 - sweep, side * span * 0.82),
                (1.1 - sweep, side * span),
                (0.9 - sweep, side * span),
                (0.93 - sweep, side * span * 0.82),
            ],
            accent,
            outline=0.5,
        )
        s.poly(
            [(0.26, side * 0.06), (0.0, side * 0.36), (-0.14, side * 0.36), (0.02, side * 0.05)], body.with_tone(0.85)
        )
    s.blob(
        [(-0.1, 0.0), (0.2, 0.1), (1.0, 0.14), (1.7, 0.13), (2.0, 0.0), (1.7, -0.13), (1.0, -0.14), (0.2, -0.1)],
        body,
    )
    s.poly([(-0.14, -0.025), (0.36, -0.02), (0.36, 0.02), (-0.14, 0.025)], accent)
    s.blob([(1.76, 0.08), (1.86, 0.06), (1.86, -0.06), (1.76, -0.08)], glass(rng), outline=0.5)
    return s


def propeller(rng: np.random.Generator, body: Fill, accent: Color) -> Sketch:
    s = Sketch(airborne=True)
    for x in (1.2, 1.45):
        s.rod([(x, 0.2), (x + 0.04, 0.1)], 0.05, STEEL)
        s.oval(x + 0.05, 0.09, 0.1, 0.1, TIRE)
    s.poly([(0.32, 0.46), (0.08, 0.92), (-0.12, 0.94), (-0.06, 0.44)], accent)
    if rng.uniform() < 0.5:
        for x in (0.9, 1.35):
            s.rod([(x, 0.5), (x - 0.04, 0.95)], 0.04, STEEL)
        s.box(0.66, 0.9, 1.62, 1.02, body.with_tone(0.75), corner=0.05)
    s.blob(
        [(-0.1, 0.5), (0.6, 0.6), (1.1, 0.64), (1.75, 0.56), (1.82, 0.4), (1.72, 0.24), (1.1, 0.18), (0.4, 0.32)],
        body,
    )
    s.blob([(0.78, 0.6), (0.9, 0.76), (1.14, 0.76), (1.32, 0.6)], glass(rng))
    s.poly([(0.0, 0.44), (1.78, 0.42), (1.78, 0.36), (0.1, 0.4)], accent, outline=0)
    s.box(0.58, 0.26, 1.5, 0.4, body.with_tone(0.82), corner=0.06)
    s.box(-0.22, 0.44, 0.2, 0.52, body.with_tone(0.82), corner=0.04)
    s.oval(1.88, 0.4, 0.05, 0.4, Fill((120, 110, 110), opacity=0.55), outline=0.5)
    s.poly([(1.76, 0.48), (1.96, 0.4), (1.76, 0.32)], accent)
    return s


def boat(rng: np.random.Generator) -> Sketch:
    s = Sketch()
    color = random_color(rng, saturation=0.6)
    hull, kind = Fill(color, roundness=0.5), rng.choice(3, p=[0.5, 0.25, 0.25])
    deck = mix_colors((190, 140, 90), random_color(rng), 0.2)
    if kind == 0:
        sails = [mix_colors(random_color(rng), (245, 240, 228), rng.choice([0.0, 0.85])) for _ in range(2)]
        mast_height = rng.uniform(1.6, 2.0)
        s.rod([(0.95, 0.4), (0.95, mast_height)], 0.05, deck)
        cloth = (
            Fill(sails[0], tone(sails[0], 0.75), "bands", 0.5) if rng.uniform() < 0.4 else Fill(sails[0], roundness=0.4)
        )
        s.blob(
            [(0.9, 0.52), (0.9, mast_height * 0.75), (0.88, mast_height - 0.06), (0.55, 0.95), (0.1, 0.54), (0.5, 0.5)],
            cloth,
        )
        s.poly([(1.0, mast_height - 0.2), (1.38, 0.95), (1.72, 0.54), (1.02, 0.54)], Fill(sails[1], roundness=0.4))
        s.poly([(0.95, mast_height), (1.2, mast_height + 0.06), (0.95, mast_height + 0.13)], random_color(rng))
    elif kind == 1:
        s.box(0.5, 0.4, 1.3, 0.76, Fill((240, 236, 228), roundness=0.3), corner=0.05)
        for x in (0.62, 0.86, 1.1):
            s.oval(x, 0.6, 0.075, 0.075, glass(rng))
        s.box(0.66, 0.74, 1.06, 1.02, mix_colors(color, (240, 240, 240), 0.6), corner=0.04)
        s.box(0.74, 0.82, 1.1, 0.96, glass(rng), outline=0.6)
        stack = random_color(rng)
        s.box(0.7, 1.02, 0.88, 1.32, stack, corner=0.02)
        s.box(0.69, 1.2, 0.89, 1.27, (40, 38, 40), outline=0)
        s.rod([(1.3, 0.4), (1.34, 1.1)], 0.03, deck)
    else:
        s.poly([(0.0, 0.42), (1.9, 0.46), (1.7, 0.34), (0.1, 0.32)], tone(deck, 0.55))
        for x in (0.5, 1.2):
            s.rod([(x, 0.42), (x + 0.22, 0.42)], 0.07, deck)
        for x, lean in ((0.75, -0.5), (1.1, 0.5)):
            s.rod([(x, 0.4), (x + lean, 0.95)], 0.055, deck)
            s.oval(x + lean * 1.12, 1.08, 0.075, 0.19, deck, tilt=-lean * 90)
    s.poly([(0.02, 0.46), (1.96, 0.52), (1.84, 0.3), (1.62, 0.06), (0.3, 0.02), (0.1, 0.16)], hull)
    s.poly(
        [(0.02, 0.46), (1.96, 0.52), (1.93, 0.44), (0.04, 0.38)], mix_colors(color, (250, 246, 236), 0.75), outline=0.6
    )
    s.poly([(0.16, 0.12), (1.7, 0.15), (1.62, 0.06), (0.3, 0.02)], tone(color, 0.5), outline=0)
    return s


def train(rng: np.random.Generator) -> Sketch:
    color = random_color(rng, saturation=0.65)
    kind = rng.choice(3, p=[0.4, 0.3, 0.3])
    return (steam_engine, railcar, train_front)[kind](rng, color)


def _rails(left: float, right: float) -> Sketch:
    rails = Sketch()
    rails.box(left, -0.05, right, 0.02, (110, 104, 100), outline=0.5)
    return rails


def steam_engine(rng: np.random.Generator, color: Color) -> Sketch:
    s = Sketch()
    paint, accent = Fill(color, roundness=0.7), random_color(rng, saturation=0.8)
    s.add_unlabeled(_rails(-0.1, 2.2))
    if rng.uniform() < 0.6:
        puff, smoke = Fill((232, 230, 230), roundness=0.6), Sketch()
        for x, y, r in ((1.5, 1.42, 0.13), (1.3, 1.56, 0.17), (1.05, 1.62, 0.14)):
            smoke.oval(x, y, r, r * 0.85, puff, outline=0.4)
        s.add_unlabeled(smoke)
    s.poly([(1.62, 0.95), (1.56, 1.3), (1.82, 1.3), (1.76, 0.95)], tone(color, 0.45))
    s.oval(1.25, 0.96, 0.12, 0.12, Fill((220, 180, 80), roundness=0.7))
    s.box(0.7, 0.42, 1.96, 0.98, paint, corner=0.08)
    for x in (0.98, 1.32, 1.66):
        s.box(x, 0.42, x + 0.05, 0.98, accent, outline=0)
    s.box(1.92, 0.44, 2.04, 0.96, (52, 50, 54), corner=0.05)
    s.oval(2.06, 0.86, 0.08, 0.09, HEADLIGHT)
    s.box(0.06, 0.3, 0.74, 1.2, paint, corner=0.03)
    s.box(-0.02, 1.16, 0.84, 1.28, tone(color, 0.45), corner=0.05)
    s.box(0.18, 0.72, 0.62, 1.06, glass(rng), corner=0.03)
    s.box(0.0, 0.28, 2.06, 0.4, accent)
    s.poly([(1.9, 0.32), (2.3, 0.04), (1.9, 0.04)], (86, 84, 90))
    for x, r in ((0.35, 0.24), (0.88, 0.24), (1.38, 0.17), (1.76, 0.17)):
        s.oval(x, r, r, r, (60, 56, 60))
        s.oval(x, r, r * 0.72, r * 0.72, accent, outline=0.5)
        for a in np.linspace(0, np.pi, 4, endpoint=False):
            dx, dy = np.cos(a) * r * 0.7, np.sin(a) * r * 0.7
            s.rod([(x - dx, r - dy), (x + dx, r + dy)], 0.03, (60, 56, 60), outline=0)
    s.rod([(0.35, 0.18), (0.88, 0.18), (1.38, 0.18)], 0.06, STEEL)
    return s


def railcar(rng: np.random.Generator, color: Color) -> Sketch:
    """A modern train with a pointed nose, a row of windows and a second coach."""
    s = Sketch()
    paint, pane, stripe = Fill(color, roundness=0.5), glass(rng).with_tone(0.55), random_color(rng)
    s.add_unlabeled(_rails(-0.5, 2.5))
    for x in (-0.3, 0.25, 0.6, 1.4, 1.7):
        s.oval(x, 0.12, 0.12, 0.12, (60, 56, 60))
    s.box(-0.5, 0.18, 0.32, 0.86, paint.with_tone(0.9), corner=0.04)
    s.box(-0.42, 0.5, 0.24, 0.74, pane, corner=0.04)
    s.blob(
        [
            (0.4, 0.2),
            (0.4, 0.5),
            (0.42, 0.85),
            (0.8, 0.88),
            (1.5, 0.88),
            (1.85, 0.8),
            (2.2, 0.5),
            (2.38, 0.26),
            (2.2, 0.16),
            (1.2, 0.17),
        ],
        paint,
    )
    s.box(0.31, 0.26, 0.41, 0.8, (64, 60, 64))
    s.poly([(-0.48, 0.36), (2.3, 0.34), (2.36, 0.26), (-0.48, 0.26)], stripe, outline=0)
    for left in np.linspace(0.52, 1.42, 4):
        s.box(left, 0.52, left + 0.22, 0.74, pane, corner=0.04, outline=0.7)
    s.poly([(1.76, 0.54), (1.72, 0.78), (1.86, 0.76), (2.06, 0.56)], pane)
    s.oval(2.22, 0.34, 0.08, 0.04, HEADLIGHT, tilt=-35)
    s.rod([(0.9, 0.88), (1.0, 1.05), (0.85, 1.2)], 0.03, (70, 68, 72), bent=False)
    s.rod([(0.68, 1.2), (1.05, 1.2)], 0.035, (70, 68, 72))
    return s


def train_front(rng: np.random.Generator, color: Color) -> Sketch:
    """A train from the front, on its track, with the coaches behind it on the left."""
    s = Sketch()
    pane, accent = glass(rng).with_tone(0.6), random_color(rng, saturation=0.8)
    rails = Sketch()
    for k in range(5):
        y, half = -0.06 - 0.085 * k, 0.62 + 0.06 * k
        rails.box(-half, y - 0.03, half, y + 0.02, (104, 80, 62), outline=0.5)
    for side in (-1, 1):
        rails.rod([(side * 0.38, 0.0), (side * 0.52, -0.46)], [0.05, 0.07], STEEL)
    s.add_unlabeled(rails)
    depth = rng.uniform(0.5, 0.95)
    s.poly([(-0.4, 0.16), (-0.4, 1.36), (-0.4 - depth, 1.1), (-0.4 - depth, 0.32)], tone(color, 0.6))
    for near, far in ((0.08, 0.3), (0.38, 0.58), (0.66, 0.86)):
        s.poly(
            [
                (-0.45 - depth * near, 0.78),
                (-0.45 - depth * near, 1.12 - 0.1 * near),
                (-0.45 - depth * far, 1.12 - 0.14 * far),
                (-0.45 - depth * far, 0.78),
            ],
            pane,
            outline=0.6,
        )
    s.blob(
        [
            (-0.52, 0.08),
            (-0.54, 0.7),
            (-0.48, 1.25),
            (-0.25, 1.46),
            (0.25, 1.46),
            (0.48, 1.25),
            (0.54, 0.7),
            (0.52, 0.08),
            (0.0, 0.04),
        ],
        Fill(color, roundness=0.4),
    )
    s.blob([(-0.4, 0.84), (-0.38, 1.2), (0.0, 1.3), (0.38, 1.2), (0.4, 0.84), (0.0, 0.8)], pane)
    s.rod([(0.0, 0.82), (0.0, 1.29)], 0.035, color, outline=0.4)
    s.poly([(-0.5, 0.34), (-0.5, 0.54), (0.0, 0.44), (0.5, 0.54), (0.5, 0.34), (0.0, 0.22)], accent, outline=0.5)
    for side in (-1, 1):
        s.oval(side * 0.36, 0.66, 0.09, 0.08, HEADLIGHT)
    s.oval(0.0, 1.38, 0.07, 0.045, HEADLIGHT)
    s.box(-0.4, 0.02, 0.4, 0.14, (58, 56, 60), corner=0.04)
    s.oval(0.0, 0.1, 0.07, 0.07, STEEL)
    return s
