"""Person: standing, walking, waving, sitting on the ground, or only head and shoulders.

Units: a standing person is about 2 tall. Skin, hair and clothes take any color that they may have.
"""

import numpy as np

from vocctl.data.shapes.fills import Color, Fill, mix_colors, random_color, random_pattern, tone
from vocctl.data.shapes.sketch import Point, Sketch

SKINS: tuple[Color, ...] = (
    (250, 218, 190),
    (232, 186, 150),
    (206, 150, 110),
    (160, 108, 74),
    (112, 74, 54),
    (84, 56, 46),
)
HAIRS: tuple[Color, ...] = ((40, 32, 30), (84, 56, 38), (140, 90, 50), (206, 170, 100), (170, 80, 50), (190, 190, 190))


def head(rng: np.random.Generator, skin: Color) -> Sketch:
    """A head, about 0.36 tall, with the chin at the origin."""
    s = Sketch()
    hair = HAIRS[rng.integers(len(HAIRS))] if rng.uniform() < 0.9 else random_color(rng)
    style = rng.integers(4)  # of the hair: short, long, bun, cap
    if style == 1:
        for side in (-1, 1):
            s.rod([(side * 0.1, 0.3), (side * 0.165, 0.15), (side * 0.17, -0.06)], [0.1, 0.11, 0.08], hair)
    if style == 2:
        s.oval(0.0, 0.42, 0.085, 0.08, hair)
    s.oval(0.0, 0.17, 0.145, 0.18, Fill(skin, roundness=0.5))
    for side in (-1, 1):
        if style != 1:
            s.oval(side * 0.15, 0.16, 0.03, 0.045, skin, outline=0.7)
        s.oval(side * 0.055, 0.17, 0.017, 0.023, (30, 24, 26), outline=0)
        s.rod([(side * 0.035, 0.215), (side * 0.08, 0.22)], 0.014, tone(hair, 0.7), outline=0)
        s.oval(side * 0.09, 0.1, 0.03, 0.02, mix_colors(skin, (220, 100, 90), 0.3), outline=0)
    s.rod([(0.0, 0.15), (0.015, 0.125)], 0.014, tone(skin, 0.7), outline=0)
    s.rod([(-0.045, 0.085), (0.0, 0.065), (0.045, 0.085)], 0.018, (150, 60, 60), outline=0)
    if style == 3:
        cap = random_color(rng)
        s.blob([(-0.165, 0.24), (-0.1, 0.36), (0.0, 0.385), (0.1, 0.36), (0.165, 0.24), (0.0, 0.26)], cap)
        s.rod([(-0.1, 0.25), (0.2, 0.235)], 0.04, tone(cap, 0.7))
    else:
        part = rng.uniform(-0.06, 0.06)
        s.blob(
            [
                (-0.165, 0.18),
                (-0.15, 0.32),
                (0.0, 0.385),
                (0.15, 0.32),
                (0.165, 0.18),
                (0.1, 0.27),
                (part, 0.25),
                (-0.1, 0.28),
            ],
            hair,
        )
    return s


def person(rng: np.random.Generator) -> Sketch:
    skin = SKINS[rng.integers(len(SKINS))]
    top = random_pattern(
        random_color(rng), rng, kinds=("bands", "checks", "spots"), scale=0.16, chance=0.4
    ).with_roundness(0.6)
    bottom = Fill(random_color(rng, saturation=0.4), roundness=0.6)
    pose = rng.choice(4, p=[0.42, 0.24, 0.14, 0.2])
    if pose == 0:
        return standing(rng, skin, top, bottom)
    if pose == 1:
        return walking(rng, skin, top, bottom)
    if pose == 2:
        return sitting(rng, skin, top, bottom)
    return portrait(rng, skin, top)


def _arm(s: Sketch, shoulder: Point, elbow: Point, hand: Point, sleeve: Fill, skin: Color) -> None:
    short = ((elbow[0] + hand[0]) / 2, (elbow[1] + hand[1]) / 2)
    s.rod([elbow, hand], [0.1, 0.08], Fill(skin, roundness=0.3))
    s.oval(hand[0], hand[1], 0.058, 0.058, skin, outline=0.7)
    s.rod([shoulder, elbow, short], [0.15, 0.13, 0.11], sleeve, bent=False)


def _shoe(s: Sketch, x: float, y: float, toe: float, color: Color) -> None:
    s.blob([(x - 0.07, y), (x - 0.06, y + 0.1), (x + 0.05, y + 0.1), (x + toe, y + 0.06), (x + toe + 0.02, y)], color)


def standing(rng: np.random.Generator, skin: Color, top: Fill, bottom: Fill) -> Sketch:
    s = Sketch()
    shoe, spread = tone(random_color(rng), 0.5), rng.uniform(0.02, 0.1)
    dress = rng.uniform() < 0.25
    legs = Fill(skin, roundness=0.4) if dress else bottom
    for side in (-1, 1):
        s.rod([(side * 0.11, 0.92), (side * (0.12 + spread), 0.08)], [0.21, 0.14], legs)
        _shoe(s, side * (0.12 + spread), 0.0, 0.12 if side > 0 else 0.06, shoe)
    for side in (-1, 1):
        pose = rng.integers(4)  # of the arm: down, on the hip, waving, stretched out
        shoulder = (side * 0.24, 1.42)
        elbow = (side * (0.38, 0.46, 0.46, 0.48)[pose], (1.12, 1.16, 1.48, 1.3)[pose])
        hand = (side * (0.36, 0.24, 0.5, 0.72)[pose], (0.82, 0.94, 1.84, 1.26)[pose])
        _arm(s, shoulder, elbow, hand, top, skin)
    s.rod([(0.0, 1.45), (0.0, 1.6)], 0.13, tone(skin, 0.85))
    if dress:
        s.blob(
            [(-0.22, 1.5), (0.0, 1.47), (0.22, 1.5), (0.2, 1.1), (0.36, 0.6), (0.0, 0.55), (-0.36, 0.6), (-0.2, 1.1)],
            top,
        )
    else:
        s.blob(
            [
                (-0.26, 1.48),
                (0.0, 1.5),
                (0.26, 1.48),
                (0.25, 1.2),
                (0.22, 0.86),
                (0.0, 0.84),
                (-0.22, 0.86),
                (-0.25, 1.2),
            ],
            top,
        )
    s.add(head(rng, skin), 0.0, 1.55, tilt=rng.uniform(-8, 8), scale=1.15)
    return s


def walking(rng: np.random.Generator, skin: Color, top: Fill, bottom: Fill) -> Sketch:
    s = Sketch()
    shoe, step = tone(random_color(rng), 0.5), rng.uniform(0.22, 0.42)
    _arm(s, (-0.02, 1.4), (step * 0.7, 1.18), (step * 1.3, 1.02), top.with_tone(0.7), tone(skin, 0.75))
    s.rod([(0.0, 0.92), (-step * 0.4, 0.5), (-step * 1.2, 0.14)], [0.22, 0.17, 0.13], bottom.with_tone(0.65))
    _shoe(s, -step * 1.2, 0.04, 0.14, tone(shoe, 0.7))
    s.rod([(0.0, 0.92), (step * 0.75, 0.52), (step * 0.8, 0.1)], [0.24, 0.18, 0.14], bottom)
    _shoe(s, step * 0.8, 0.0, 0.16, shoe)
    s.rod([(0.02, 1.45), (0.03, 1.62)], 0.13, tone(skin, 0.85))
    s.blob([(-0.17, 1.44), (0.02, 1.51), (0.19, 1.42), (0.18, 1.15), (0.16, 0.85), (-0.15, 0.85), (-0.18, 1.15)], top)
    _arm(s, (0.0, 1.38), (-step * 0.7, 1.12), (-step * 0.7 + 0.1, 0.86), top, skin)
    if rng.uniform() < 0.35:
        pack = random_color(rng)
        s.box(-0.34, 0.98, -0.14, 1.42, Fill(pack, roundness=0.5), corner=0.08)
    s.add(head(rng, skin), 0.04, 1.56, tilt=rng.uniform(-8, 6), scale=1.15)
    return s


def sitting(rng: np.random.Generator, skin: Color, top: Fill, bottom: Fill) -> Sketch:
    """A person who sits cross-legged, from the front."""
    s = Sketch()
    s.rod([(0.0, 0.7), (0.0, 0.92)], 0.14, tone(skin, 0.85))
    s.blob([(-0.27, 0.78), (0.0, 0.82), (0.27, 0.78), (0.25, 0.45), (0.25, 0.12), (-0.25, 0.12), (-0.25, 0.45)], top)
    for side in (-1, 1):
        s.rod([(side * 0.15, 0.16), (side * 0.5, 0.2), (side * 0.05, 0.07)], [0.22, 0.2, 0.14], bottom)
    for side in (-1, 1):
        _arm(s, (side * 0.25, 0.72), (side * 0.42, 0.45), (side * 0.36, 0.27), top, skin)
    s.add(head(rng, skin), 0.0, 0.86, tilt=rng.uniform(-8, 8), scale=1.15)
    return s


def portrait(rng: np.random.Generator, skin: Color, top: Fill) -> Sketch:
    s = Sketch()
    half_width = rng.uniform(0.42, 0.52)
    s.blob(
        [
            (-half_width, 0.0),
            (-half_width + 0.03, 0.28),
            (-0.25, 0.42),
            (0.0, 0.44),
            (0.25, 0.42),
            (half_width - 0.03, 0.28),
            (half_width, 0.0),
            (0.0, -0.01),
        ],
        top,
    )
    s.rod([(0.0, 0.4), (0.0, 0.56)], 0.24, tone(skin, 0.85))
    s.blob([(-0.14, 0.42), (0.14, 0.42), (0.0, 0.24)], skin, outline=0.6)
    s.add(head(rng, skin), 0.0, 0.5, scale=2.0, tilt=rng.uniform(-8, 8))
    return s
