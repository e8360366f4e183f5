"""Horse, cow and sheep, from the side, facing right.

Units: the body is about 1 long. They differ in build: the horse is tall with a mane and a full tail, the cow has a
rectangular body, horns, a muzzle and an udder, the sheep a round woolly body on short thin legs.
"""

import numpy as np

from vocctl.data.shapes.fills import Color, Fill, mix_colors, random_fur_color, random_pattern, tone
from vocctl.data.shapes.sketch import Point, Sketch

DARK: Color = (38, 32, 34)
PINK: Color = (222, 160, 150)


def leg(
    sketch: Sketch, hip: Point, length: float, swing: float, bend: float, width: float, fill: Fill, hoof: Color
) -> None:
    """A leg from the hip to the ground. swing, bend: how far the foot and the knee are forward; negative: back."""
    x, y = hip
    lift = max(0.0, y - length)
    knee = (x + swing * 0.45 + bend, y - length * 0.52)
    foot = (x + swing, lift + width * 0.3)
    sketch.rod([hip, knee, foot], [width * 1.7, width, width * 0.85], fill)
    fx, fy = foot
    sketch.poly(
        [(fx - width * 0.5, fy - width * 0.35), (fx + width * 0.75, fy - width * 0.35), (fx + width * 0.5, fy + width * 0.6),
         (fx - width * 0.45, fy + width * 0.6)], hoof
    )  # fmt: skip


def strides(rng: np.random.Generator, reach: float) -> list[tuple[float, float]]:
    """Swing and bend of the far hind, far fore, near hind and near fore leg. reach: the largest swing."""
    if rng.uniform() < 0.35:
        return [(rng.uniform(-0.03, 0.03), 0.0) for _ in range(4)]
    step = rng.uniform(0.5, 1.0) * reach
    signs = (1, -1, -1, 1) if rng.uniform() < 0.5 else (-1, 1, 1, -1)
    return [
        (sign * step, (-0.03 if hind else 0.03) * step / reach) for sign, hind in zip(signs, (1, 0, 1, 0), strict=True)
    ]


def eye(sketch: Sketch, x: float, y: float, size: float) -> None:
    sketch.oval(x, y, size, size, (24, 20, 22), outline=0)
    sketch.oval(x - size * 0.3, y + size * 0.35, size * 0.35, size * 0.35, (250, 250, 250), outline=0)


def horse(rng: np.random.Generator) -> Sketch:
    s = Sketch()
    color = random_fur_color(rng)
    coat = random_pattern(color, rng, kinds=("patches", "spots"), scale=0.34, chance=0.25).with_roundness(0.8)
    hair: Color = tone(color, 0.35) if rng.uniform() < 0.6 else mix_colors(random_fur_color(rng), (240, 225, 190), 0.3)
    gallop = rng.uniform() < 0.35
    hip_y, width, far_coat = rng.uniform(0.84, 0.95), 0.1, coat.with_tone(0.62)
    steps = [(-0.4, -0.1), (0.42, 0.02), (-0.24, -0.08), (0.3, 0.16)] if gallop else strides(rng, 0.2)
    hips = [(-0.34, hip_y), (0.4, hip_y - 0.04), (-0.47, hip_y), (0.26, hip_y - 0.04)]
    lifts = rng.uniform(0.02, 0.16, 4) * gallop
    hoof = tone(color, 0.25)
    for k in (0, 1):
        leg(s, hips[k], hip_y - lifts[k], *steps[k], width, far_coat, hoof)
    lift = 0.15 if gallop else 0.0
    s.blob([(-0.54, hip_y + 0.1), (-0.72, hip_y - 0.02 + lift), (-0.84, hip_y - 0.36 + lift), (-0.8, hip_y - 0.62 + lift),
            (-0.68, hip_y - 0.4 + lift), (-0.56, hip_y - 0.12)], hair)  # fmt: skip
    for k in (2, 3):
        leg(s, hips[k], hip_y - lifts[k], *steps[k], width, coat, hoof)
    nod = rng.uniform(-0.14, 0.1) - 0.1 * gallop
    px, py = 0.74 - nod * 0.25, hip_y + 0.66 + nod  # top of the head, between the ears
    s.blob([(px - 0.16, py + 0.03), (px - 0.33, py - 0.16), (0.26, hip_y + 0.34), (0.12, hip_y + 0.18),
            (0.3, hip_y + 0.14), (px - 0.1, py - 0.2)], hair)  # fmt: skip
    s.blob([(-0.56, hip_y + 0.08), (-0.44, hip_y + 0.2), (-0.1, hip_y + 0.14), (0.2, hip_y + 0.18), (0.36, hip_y + 0.38),
            (px - 0.19, py - 0.06), (px - 0.05, py + 0.03), (px + 0.03, py - 0.13), (0.56, hip_y + 0.22), (0.5, hip_y),
            (0.4, hip_y - 0.2), (0.1, hip_y - 0.26), (-0.24, hip_y - 0.22), (-0.5, hip_y - 0.18)], coat)  # fmt: skip
    head = Sketch()
    head.poly([(-0.04, 0.02), (-0.06, 0.18), (0.04, 0.08)], coat)
    head.blob([(-0.08, 0.02), (0.04, 0.1), (0.2, 0.03), (0.42, -0.05), (0.47, -0.12), (0.42, -0.19), (0.28, -0.17),
               (0.1, -0.15), (-0.06, -0.12)], coat)  # fmt: skip
    head.oval(0.41, -0.115, 0.06, 0.065, tone(color, 0.6), outline=0)
    head.oval(0.43, -0.09, 0.014, 0.014, DARK, outline=0)
    eye(head, 0.13, 0.01, 0.026)
    if rng.uniform() < 0.4:
        tack = random_tack_color(rng)
        head.rod([(0.3, 0.01), (0.27, -0.17)], 0.03, tack, outline=0)
        head.rod([(0.28, -0.07), (0.02, 0.0)], 0.025, tack, outline=0)
    s.add(head, px - 0.06, py - 0.05, tilt=rng.uniform(-42, -24))
    s.blob([(px - 0.1, py + 0.07), (px - 0.02, py + 0.06), (px + 0.03, py - 0.06), (px - 0.05, py - 0.03)], hair)
    if rng.uniform() < 0.3:
        tack = random_tack_color(rng)
        s.blob([(-0.12, hip_y + 0.15), (-0.02, hip_y + 0.19), (0.15, hip_y + 0.21), (0.14, hip_y - 0.02),
                (-0.08, hip_y - 0.02)], tack)  # fmt: skip
    return s


def random_tack_color(rng: np.random.Generator) -> Color:
    """The color of a saddle or a bridle, of leather or cloth."""
    return ((120, 60, 40), (170, 40, 44), (50, 70, 130), (70, 50, 40), (40, 110, 90))[rng.integers(5)]


def cow(rng: np.random.Generator) -> Sketch:
    s = Sketch()
    color = random_fur_color(rng)
    coat = random_pattern(color, rng, kinds=("patches",), scale=0.3, chance=0.6).with_roundness(0.7)
    far_coat, hip_y, width = coat.with_tone(0.62), rng.uniform(0.5, 0.6), 0.115
    half_height = rng.uniform(0.27, 0.31)
    steps, hoof = strides(rng, 0.11), tone(color, 0.25)
    hips = [(-0.33, hip_y), (0.4, hip_y), (-0.47, hip_y), (0.25, hip_y)]
    for k in (0, 1):
        leg(s, hips[k], hip_y, *steps[k], width, far_coat, hoof)
    s.blob([(-0.28, hip_y - 0.16), (-0.2, hip_y - 0.32), (-0.1, hip_y - 0.33), (-0.02, hip_y - 0.16)], PINK)
    back_y, belly_y = hip_y + half_height, hip_y - half_height + 0.08
    s.rod([(-0.57, back_y - 0.06), (-0.7, back_y - 0.2), (-0.69, hip_y - 0.12)], 0.045, coat)
    s.blob(
        [(-0.73, hip_y - 0.08), (-0.65, hip_y - 0.08), (-0.66, hip_y - 0.26), (-0.73, hip_y - 0.24)], tone(color, 0.4)
    )
    for k in (2, 3):
        leg(s, hips[k], hip_y, *steps[k], width, coat, hoof)
    grazing = rng.uniform() < 0.25
    drop = rng.uniform(-0.12, 0.06) - 0.34 * grazing
    hx, hy = 0.68, back_y - 0.04 + drop
    s.blob([(0.36, back_y), (hx - 0.05, hy + 0.1), (hx + 0.05, hy - 0.1), (0.5, hip_y - 0.12), (0.36, hip_y)], coat)
    s.blob([(-0.6, back_y - 0.1), (-0.5, back_y + 0.01), (-0.2, back_y - 0.02), (0.16, back_y), (0.42, back_y + 0.05),
            (0.56, back_y - 0.06), (0.55, hip_y - 0.1), (0.4, belly_y), (0.0, belly_y - 0.04), (-0.4, belly_y),
            (-0.6, hip_y - 0.05)], coat)  # fmt: skip
    s.add(cow_head(rng, coat, color), hx, hy, tilt=rng.uniform(-14, 8) - 22 * grazing)
    return s


def cow_head(rng: np.random.Generator, coat: Fill, color: Color) -> Sketch:
    """The head, half turned to the viewer: ears sideways, horns up, a broad pale muzzle."""
    head = Sketch()
    horn: Color = (228, 214, 180)
    if rng.uniform() < 0.85:
        head.rod([(-0.1, 0.16), (-0.2, 0.24), (-0.17, 0.36)], [0.08, 0.06, 0.02], horn)
        head.rod([(0.12, 0.16), (0.23, 0.24), (0.21, 0.36)], [0.08, 0.06, 0.02], horn)
    for side in (-1, 1):
        head.blob(
            [
                (0.01 + side * 0.12, 0.14),
                (0.01 + side * 0.31, 0.12),
                (0.01 + side * 0.28, 0.0),
                (0.01 + side * 0.12, 0.03),
            ],
            coat,
        )
        head.blob(
            [
                (0.01 + side * 0.16, 0.1),
                (0.01 + side * 0.26, 0.09),
                (0.01 + side * 0.24, 0.04),
                (0.01 + side * 0.16, 0.05),
            ],
            PINK,
            outline=0,
        )
    head.blob(
        [
            (-0.15, 0.16),
            (0.01, 0.22),
            (0.17, 0.16),
            (0.16, -0.06),
            (0.14, -0.22),
            (0.03, -0.28),
            (-0.1, -0.22),
            (-0.14, -0.06),
        ],
        coat,
    )
    if rng.uniform() < 0.5:
        head.blob([(-0.03, 0.18), (0.07, 0.18), (0.06, -0.1), (-0.02, -0.1)], (244, 238, 230), outline=0)
    muzzle = PINK if rng.uniform() < 0.7 else tone(color, 0.45)
    head.oval(0.03, -0.21, 0.17, 0.12, Fill(muzzle, roundness=0.4))
    for side in (-1, 1):
        head.oval(0.03 + side * 0.075, -0.19, 0.026, 0.034, tone(muzzle, 0.45), outline=0)
        eye(head, 0.01 + side * 0.1, 0.05, 0.032)
    head.rod([(-0.04, -0.27), (0.03, -0.285), (0.1, -0.27)], 0.014, tone(muzzle, 0.45), outline=0)
    return head


def sheep(rng: np.random.Generator) -> Sketch:
    s = Sketch()
    color = mix_colors(random_fur_color(rng), (238, 232, 220), rng.choice([0.0, 0.5, 0.8]))
    wool = Fill(color, tone(color, 0.78), "grain", 0.13, tuple(rng.uniform(0, 6, 3)), roundness=0.9)
    face = mix_colors(random_fur_color(rng), DARK, rng.choice([0.0, 0.6]))
    skin = Fill(face, roundness=0.5)
    hip_y, width = rng.uniform(0.36, 0.44), 0.085
    steps = strides(rng, 0.08)
    hips = [(-0.24, hip_y), (0.24, hip_y), (-0.32, hip_y), (0.16, hip_y)]
    for k in range(4):
        leg(s, hips[k], hip_y, *steps[k], width, skin.with_tone(0.6) if k < 2 else skin, tone(face, 0.4))
    half_height, half_length = rng.uniform(0.29, 0.34), rng.uniform(0.46, 0.52)
    angle = np.linspace(0, 2 * np.pi, 15, endpoint=False) + rng.uniform(0, 0.4)
    center_y = hip_y + 0.2
    s.oval(-half_length - 0.03, center_y + 0.04, 0.1, 0.08, wool.with_roundness(0.3))
    outline: list[Point] = []
    for k in range(45):  # a scalloped outline: one point inside, two outside
        b = angle[0] + k * 2 * np.pi / 45
        r = 0.93 if k % 3 == 0 else 1.06
        outline.append((half_length * r * np.cos(b), center_y + half_height * r * np.sin(b)))
    s.blob(outline, wool)
    for _ in range(7):
        a, r = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.7)
        x, y = half_length * r * np.cos(a), center_y + half_height * r * np.sin(a)
        s.rod([(x - 0.05, y), (x, y - 0.04), (x + 0.05, y)], 0.018, tone(color, 0.7), outline=0)
    hx, hy = half_length + rng.uniform(-0.02, 0.05), center_y + rng.uniform(0.0, 0.24)
    head = Sketch()
    for side in (-1, 1):
        head.blob([(side * 0.1, 0.1), (side * 0.25, 0.05), (side * 0.27, -0.05), (side * 0.12, 0.01)], skin)
    head.blob([(-0.13, 0.1), (0.0, 0.16), (0.13, 0.1), (0.115, -0.08), (0.07, -0.24), (0.0, -0.27), (-0.07, -0.24),
               (-0.115, -0.08)], skin)  # fmt: skip
    for x, y in ((-0.1, 0.12), (0.1, 0.12), (0.0, 0.18), (-0.05, 0.1), (0.06, 0.1)):
        head.oval(x, y, 0.075, 0.07, wool.with_roundness(0.4), outline=0.6 if y > 0.11 else 0)
    for side in (-1, 1):
        head.oval(side * 0.065, -0.02, 0.03, 0.03, (245, 240, 230), outline=0)
        head.oval(side * 0.065, -0.02, 0.018, 0.02, (20, 18, 20), outline=0)
    nose = tone(face, 0.4) if sum(face) > 250 else PINK
    head.rod([(-0.035, -0.18), (0.0, -0.205), (0.035, -0.18)], 0.02, nose, outline=0)
    s.add(head, hx, hy, tilt=rng.uniform(-16, 10))
    return s
