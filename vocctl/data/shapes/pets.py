"""A cat sitting, standing or lying, and a dog sitting or standing.

Units: a sitting animal is about 1.3 tall. The cat has a round face with a short muzzle, pricked triangular ears,
whiskers and a long thin tail; the dog a long snout with a black nose, hanging or folded ears, a tongue and a collar.
"""

import numpy as np

from vocctl.data.shapes.fills import Color, Fill, mix_colors, random_color, random_fur_color, random_pattern, tone
from vocctl.data.shapes.sketch import Point, Sketch

DARK: Color = (34, 28, 30)
PINK: Color = (232, 150, 150)
WHITE: Color = (248, 246, 240)


def cat(rng: np.random.Generator) -> Sketch:
    color = random_fur_color(rng)
    coat = random_pattern(color, rng, kinds=("stripes", "patches", "stripes"), scale=0.17, chance=0.6).with_roundness(
        0.7
    )
    chest = mix_colors(color, WHITE, rng.choice([0.15, 0.75]))
    poses = (cat_sitting, cat_standing, cat_lying)
    return poses[rng.choice(3, p=[0.45, 0.35, 0.2])](rng, coat, chest)


def cat_head(rng: np.random.Generator, coat: Fill, chest: Color) -> Sketch:
    head = Sketch()
    for side in (-1, 1):
        head.poly([(side * 0.07, 0.2), (side * 0.31, 0.48), (side * 0.34, 0.04)], coat)
        head.poly(
            [(side * 0.14, 0.21), (side * 0.275, 0.38), (side * 0.29, 0.12)],
            mix_colors(PINK, coat.color, 0.25),
            outline=0,
        )
    head.blob([(-0.17, 0.25), (0.0, 0.27), (0.17, 0.25), (0.34, 0.06), (0.37, -0.1), (0.2, -0.25),
               (0.0, -0.28), (-0.2, -0.25), (-0.37, -0.1), (-0.34, 0.06)], coat)  # fmt: skip
    iris = ((214, 200, 70), (120, 190, 90), (90, 170, 210), (226, 160, 60))[rng.integers(4)]
    slit = rng.uniform(0.02, 0.05)
    for side in (-1, 1):
        head.oval(side * 0.155, 0.03, 0.078, 0.072, iris, tilt=side * 12)
        head.oval(side * 0.155, 0.03, slit, 0.066, DARK, outline=0)
        head.oval(side * 0.155 - 0.02, 0.06, 0.018, 0.018, WHITE, outline=0)
    for side in (-1, 1):
        head.oval(side * 0.07, -0.14, 0.085, 0.07, chest, outline=0)
    head.poly([(-0.045, -0.07), (0.045, -0.07), (0.0, -0.12)], PINK, outline=0.6)
    head.rod([(-0.08, -0.17), (-0.03, -0.19), (0.0, -0.13), (0.03, -0.19), (0.08, -0.17)], 0.014, DARK, outline=0)
    hair = tone(coat.color, 0.4) if sum(coat.color) > 380 else WHITE
    for side in (-1, 1):
        for lift in (-0.07, 0.0, 0.06):
            head.rod([(side * 0.14, -0.13 + lift * 0.4), (side * 0.46, -0.12 + lift)], 0.011, hair, outline=0)
    return head


def cat_sitting(rng: np.random.Generator, coat: Fill, chest: Color) -> Sketch:
    s = Sketch()
    curl = rng.uniform(0.4, 0.75)
    s.rod(
        [(0.2, 0.1), (0.46, 0.06), (0.6, 0.22), (0.55, curl), (0.66, curl + 0.14)], [0.13, 0.12, 0.11, 0.1, 0.07], coat
    )
    s.blob(
        [(-0.18, 0.78), (0.18, 0.78), (0.27, 0.5), (0.38, 0.2), (0.3, 0.0), (-0.3, 0.0), (-0.38, 0.2), (-0.27, 0.5)],
        coat,
    )
    s.blob([(-0.12, 0.74), (0.12, 0.74), (0.11, 0.4), (0.0, 0.32), (-0.11, 0.4)], chest, outline=0)
    for side in (-1, 1):
        s.rod([(side * 0.1, 0.46), (side * 0.095, 0.08)], [0.13, 0.115], coat.with_roundness(0.3), outline=0.7)
        s.oval(side * 0.1, 0.05, 0.095, 0.06, chest, outline=0.7)
        s.oval(side * 0.28, 0.05, 0.12, 0.06, coat, outline=0.7)
    s.add(cat_head(rng, coat, chest), rng.uniform(-0.06, 0.06), 0.94, tilt=rng.uniform(-12, 12))
    return s


def cat_standing(rng: np.random.Generator, coat: Fill, chest: Color) -> Sketch:
    s = Sketch()
    sway = rng.uniform(-0.12, 0.12)
    s.rod([(-0.5, 0.52), (-0.72, 0.66), (-0.74, 0.95), (-0.62 + sway, 1.18)], [0.12, 0.1, 0.09, 0.07], coat)
    step = rng.uniform(-0.14, 0.14)
    legs = ((-0.36, -step, 0.62), (0.4, step, 0.62), (-0.46, step, 1.0), (0.32, -step, 1.0))
    for x, swing, shade in legs[:2]:
        s.rod([(x, 0.45), (x + swing * 0.4, 0.24), (x + swing, 0.05)], [0.17, 0.11, 0.1], coat.with_tone(shade))
    for x, swing, _ in legs[2:]:
        s.rod([(x, 0.45), (x + swing * 0.4 - 0.02, 0.24), (x + swing, 0.05)], [0.2, 0.115, 0.11], coat)
        s.oval(x + swing + 0.03, 0.045, 0.085, 0.05, chest, outline=0.7)
    s.blob(
        [
            (-0.6, 0.5),
            (-0.46, 0.66),
            (-0.1, 0.63),
            (0.26, 0.67),
            (0.5, 0.6),
            (0.5, 0.42),
            (0.2, 0.33),
            (-0.2, 0.37),
            (-0.5, 0.34),
        ],
        coat,
    )
    s.add(cat_head(rng, coat, chest), 0.54, 0.74 + rng.uniform(-0.05, 0.1), scale=0.82, tilt=rng.uniform(-12, 10))
    return s


def cat_lying(rng: np.random.Generator, coat: Fill, chest: Color) -> Sketch:
    s = Sketch()
    s.blob(
        [
            (-0.7, 0.12),
            (-0.62, 0.36),
            (-0.3, 0.5),
            (0.1, 0.47),
            (0.45, 0.42),
            (0.6, 0.2),
            (0.55, 0.0),
            (0.0, -0.01),
            (-0.55, 0.0),
        ],
        coat,
    )
    s.rod([(-0.6, 0.1), (-0.4, 0.02), (-0.1, 0.07), (0.14, 0.03)], [0.11, 0.11, 0.1, 0.08], coat.with_roundness(0.4))
    s.oval(-0.36, 0.2, 0.2, 0.17, coat, outline=0.6)
    for x in (0.36, 0.6):
        s.rod([(x, 0.14), (x + 0.16, 0.05)], [0.14, 0.11], coat.with_roundness(0.3))
        s.oval(x + 0.18, 0.05, 0.08, 0.055, chest, outline=0.6)
    s.add(cat_head(rng, coat, chest), 0.46, 0.5 + rng.uniform(-0.06, 0.06), scale=0.9, tilt=rng.uniform(-14, 14))
    return s


def dog(rng: np.random.Generator) -> Sketch:
    color = random_fur_color(rng)
    coat = random_pattern(color, rng, kinds=("patches", "spots"), scale=0.26, chance=0.4).with_roundness(0.7)
    chest = mix_colors(color, WHITE, rng.choice([0.1, 0.65]))
    if rng.uniform() < 0.4:
        return dog_sitting(rng, coat, chest)
    return dog_standing(rng, coat, chest)


def collar(sketch: Sketch, ends: list[Point], rng: np.random.Generator) -> None:
    color = random_color(rng, saturation=0.8)
    sketch.rod(ends, 0.07, color, outline=0.7)
    x, y = ends[len(ends) // 2]
    sketch.oval(x, y - 0.07, 0.045, 0.045, (230, 200, 90), outline=0.7)


def dog_face(rng: np.random.Generator, coat: Fill, chest: Color) -> Sketch:
    """The head from the front: long muzzle, hanging ears, tongue out."""
    head = Sketch()
    ears = coat.with_tone(rng.uniform(0.45, 0.75))
    head.blob([(-0.23, 0.22), (0.0, 0.29), (0.23, 0.22), (0.28, 0.0), (0.2, -0.2), (0.16, -0.38),
               (0.0, -0.44), (-0.16, -0.38), (-0.2, -0.2), (-0.28, 0.0)], coat)  # fmt: skip
    for side in (-1, 1):
        head.blob(
            [
                (side * 0.16, 0.27),
                (side * 0.3, 0.24),
                (side * 0.43, -0.02),
                (side * 0.4, -0.28),
                (side * 0.29, -0.26),
                (side * 0.24, 0.02),
            ],
            ears,
        )
    head.poly([(-0.06, -0.34), (0.06, -0.34), (0.07, -0.5), (0.0, -0.56), (-0.07, -0.5)], (226, 100, 110), outline=0.7)
    head.blob(
        [(-0.08, 0.1), (0.08, 0.1), (0.17, -0.2), (0.14, -0.36), (0.0, -0.38), (-0.14, -0.36), (-0.17, -0.2)],
        Fill(chest, roundness=0.5),
        outline=0.6,
    )
    head.oval(0.0, -0.17, 0.095, 0.065, DARK, outline=0)
    head.oval(-0.03, -0.145, 0.03, 0.016, (130, 125, 130), outline=0)
    head.rod([(0.0, -0.22), (0.0, -0.3), (0.1, -0.33)], 0.016, DARK, outline=0)
    head.rod([(0.0, -0.3), (-0.1, -0.33)], 0.016, DARK, outline=0)
    for side in (-1, 1):
        head.oval(side * 0.13, 0.06, 0.05, 0.055, DARK, outline=0)
        head.oval(side * 0.13 - 0.015, 0.08, 0.017, 0.017, WHITE, outline=0)
        head.rod([(side * 0.08, 0.15), (side * 0.17, 0.14)], 0.022, tone(coat.color, 0.5), outline=0)
    return head


def dog_profile(rng: np.random.Generator, coat: Fill, chest: Color) -> Sketch:
    """The head from the side, facing right: a long square snout."""
    head = Sketch()
    jaw = rng.uniform(0, 0.06)
    head.blob(
        [(0.06, -0.1), (0.3, -0.13 - jaw), (0.4, -0.15 - jaw), (0.42, -0.09 - jaw), (0.2, -0.04)], coat.with_tone(0.8)
    )
    if jaw > 0.015:
        head.blob(
            [(0.26, -0.1), (0.4, -0.1 - jaw), (0.46, -0.22 - jaw), (0.38, -0.24 - jaw), (0.32, -0.14 - jaw)],
            (226, 100, 110),
            outline=0.6,
        )
    head.blob([(-0.2, 0.0), (-0.14, 0.19), (0.04, 0.23), (0.16, 0.14), (0.24, 0.07), (0.46, 0.05),
               (0.51, -0.01), (0.46, -0.09), (0.24, -0.1), (0.06, -0.15), (-0.14, -0.17)], coat)  # fmt: skip
    head.blob([(0.24, 0.03), (0.46, 0.02), (0.46, -0.08), (0.24, -0.09)], chest, outline=0)
    head.oval(0.48, 0.035, 0.052, 0.046, DARK, outline=0)
    head.oval(0.1, 0.075, 0.036, 0.04, DARK, outline=0)
    head.oval(0.09, 0.09, 0.013, 0.013, WHITE, outline=0)
    ear = coat.with_tone(rng.uniform(0.45, 0.7))
    if rng.uniform() < 0.7:
        head.blob([(-0.12, 0.2), (0.0, 0.17), (0.0, -0.06), (-0.08, -0.24), (-0.17, -0.22), (-0.2, 0.0)], ear)
    else:  # an upright ear with its tip folded forward
        head.poly([(-0.15, 0.14), (-0.08, 0.42), (0.04, 0.19)], ear)
        head.poly([(-0.1, 0.36), (-0.08, 0.42), (0.05, 0.3), (-0.03, 0.26)], coat)
    return head


def dog_sitting(rng: np.random.Generator, coat: Fill, chest: Color) -> Sketch:
    s = Sketch()
    wag = rng.uniform(-0.1, 0.15)
    s.rod([(-0.3, 0.1), (-0.55, 0.16), (-0.7, 0.38 + wag)], [0.13, 0.11, 0.07], coat)
    s.blob(
        [
            (-0.15, 0.86),
            (0.15, 0.86),
            (0.25, 0.55),
            (0.33, 0.25),
            (0.34, 0.02),
            (-0.34, 0.02),
            (-0.36, 0.25),
            (-0.25, 0.55),
        ],
        coat,
    )
    s.blob([(-0.14, 0.8), (0.14, 0.8), (0.14, 0.5), (0.0, 0.36), (-0.14, 0.5)], chest, outline=0)
    for side in (-1, 1):
        s.oval(side * 0.32, 0.15, 0.13, 0.16, coat, outline=0.7)
        s.oval(side * 0.36, 0.04, 0.13, 0.06, chest, outline=0.7)
        s.rod(
            [(side * 0.12, 0.6), (side * 0.12, 0.3), (side * 0.12, 0.07)],
            [0.16, 0.14, 0.13],
            coat.with_roundness(0.4),
            outline=0.7,
        )
        s.oval(side * 0.13, 0.045, 0.105, 0.06, chest, outline=0.7)
    collar(s, [(-0.18, 0.76), (0.0, 0.71), (0.18, 0.76)], rng)
    s.add(dog_face(rng, coat, chest), 0.0, 1.1, tilt=rng.uniform(-14, 14))
    return s


def dog_standing(rng: np.random.Generator, coat: Fill, chest: Color) -> Sketch:
    s = Sketch()
    hip_y, step = rng.uniform(0.42, 0.62), rng.uniform(-0.16, 0.16)
    up = rng.uniform(0.1, 0.4)
    s.rod([(-0.52, hip_y + 0.12), (-0.72, hip_y + 0.2), (-0.84, hip_y + 0.2 + up)], [0.12, 0.1, 0.06], coat)
    for x, swing in ((-0.36, -step), (0.36, step)):
        s.rod(
            [(x, hip_y), (x - 0.03 + swing * 0.4, hip_y * 0.5), (x + swing, 0.06)],
            [0.18, 0.12, 0.11],
            coat.with_tone(0.62),
        )
    for x, swing in ((-0.44, step), (0.28, -step)):
        s.rod([(x, hip_y), (x - 0.05 + swing * 0.4, hip_y * 0.5), (x + swing, 0.06)], [0.24, 0.13, 0.12], coat)
        s.oval(x + swing + 0.04, 0.05, 0.1, 0.06, chest, outline=0.7)
    s.blob([(-0.6, hip_y + 0.08), (-0.46, hip_y + 0.24), (-0.1, hip_y + 0.2), (0.26, hip_y + 0.24),
            (0.5, hip_y + 0.22), (0.54, hip_y), (0.3, hip_y - 0.2), (0.05, hip_y - 0.17),
            (-0.22, hip_y - 0.03), (-0.5, hip_y - 0.08)], coat)  # fmt: skip
    hx, hy = 0.66, hip_y + rng.uniform(0.42, 0.54)
    s.blob(
        [(0.24, hip_y + 0.24), (hx - 0.2, hy + 0.06), (hx, hy - 0.08), (0.56, hip_y + 0.06), (0.4, hip_y - 0.05)], coat
    )
    middle: Point = ((0.36 + hx) / 2 + 0.04, (hip_y + 0.15 + hy) / 2)
    collar(
        s,
        [
            (middle[0] - 0.17, middle[1] + 0.06),
            (middle[0] + 0.01, middle[1] - 0.02),
            (middle[0] + 0.13, middle[1] - 0.1),
        ],
        rng,
    )
    if rng.uniform() < 0.7:
        s.add(dog_profile(rng, coat, chest), hx, hy, scale=1.05, tilt=rng.uniform(-16, 14))
    else:
        s.add(dog_face(rng, coat, chest), hx - 0.02, hy + 0.04, scale=0.72, tilt=rng.uniform(-10, 10))
    return s
