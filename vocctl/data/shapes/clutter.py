"""Objects of no class: trees, houses, clouds, pictures, crates. A model has to learn that they are background.

Units: the height of the image is 1, y goes up. They are painted in the same way as the objects.
"""

import numpy as np

from vocctl.data.shapes.fills import Fill, mix_colors, random_color, random_fur_color, random_pattern, tone
from vocctl.data.shapes.sketch import Sketch


def tree(s: Sketch, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    """A round tree or a fir."""
    bark, leaves = (
        mix_colors((110, 80, 60), random_color(rng), 0.2),
        mix_colors((90, 140, 80), random_color(rng), rng.uniform(0.1, 0.7)),
    )
    s.rod([(x, y), (x, y + size * 0.5)], size * 0.13, bark)
    if rng.uniform() < 0.4:
        for step in (0.25, 0.47, 0.68):
            half = size * (0.42 - step * 0.35)
            s.poly(
                [(x - half, y + size * step), (x + half, y + size * step), (x, y + size * (step + 0.42))],
                Fill(leaves, roundness=0.4),
            )
        return
    for dx, dy in ((-0.2, 0.55), (0.2, 0.58), (0.0, 0.75), (0.02, 0.5)):
        s.oval(x + dx * size, y + dy * size, size * 0.24, size * 0.22, Fill(leaves, roundness=0.6))


def hill(s: Sketch, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    color = mix_colors((120, 150, 120), random_color(rng, saturation=0.3), rng.uniform(0.2, 0.8))
    s.blob(
        [
            (x - size, y - 0.06),
            (x - size * 0.4, y + size * rng.uniform(0.15, 0.4)),
            (x + size * 0.3, y + size * rng.uniform(0.1, 0.35)),
            (x + size, y - 0.06),
        ],
        color,
        outline=0,
    )


def cloud(s: Sketch, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    puff = Fill(
        mix_colors((250, 250, 252), random_color(rng, saturation=0.3), rng.uniform(0, 0.35)), roundness=0.4, opacity=0.9
    )
    for dx, r in ((-0.3, 0.16), (0.28, 0.17), (0.0, 0.25)):
        s.oval(x + dx * size, y, r * size * 1.3, r * size * 0.8, puff, outline=0)


def house(s: Sketch, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    width, height = size * rng.uniform(0.35, 0.6), size * rng.uniform(0.5, 1.0)
    front = random_pattern(random_color(rng, saturation=0.35), rng, kinds=("bands", "checks"), scale=0.04, chance=0.3)
    s.box(x - width / 2, y, x + width / 2, y + height, front)
    if rng.uniform() < 0.6:
        s.poly(
            [(x - width * 0.6, y + height), (x + width * 0.6, y + height), (x, y + height + width * 0.45)],
            random_color(rng, saturation=0.5),
        )
    pane = mix_colors((180, 205, 220), random_color(rng), 0.3)
    for row in np.arange(0.2, 0.85, 0.3):
        for column in (-0.25, 0.25):
            s.box(
                x + (column - 0.12) * width,
                y + row * height,
                x + (column + 0.12) * width,
                y + (row + 0.17) * height,
                pane,
                outline=0.6,
            )


def fence(s: Sketch, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    wood = mix_colors((180, 150, 120), random_color(rng), rng.uniform(0, 0.6))
    for rail in (0.12, 0.26):
        s.box(x - size, y + rail * size * 0.8, x + size, y + (rail + 0.06) * size * 0.8, wood)
    for post in np.linspace(x - size, x + size, 8):
        s.poly(
            [
                (post - 0.02, y),
                (post + 0.02, y),
                (post + 0.02, y + size * 0.32),
                (post, y + size * 0.36),
                (post - 0.02, y + size * 0.32),
            ],
            tone(wood, 0.9),
        )


def lamp_post(s: Sketch, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    metal = random_color(rng, saturation=0.15)
    s.rod([(x, y), (x, y + size * 1.3)], 0.022, metal)
    s.oval(x, y + size * 1.35, 0.045, 0.05, (250, 238, 190))


def rock(s: Sketch, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    stone = Fill(random_fur_color(rng), roundness=0.8)
    angle = np.linspace(0, np.pi, 6)
    reach = size * rng.uniform(0.2, 0.34, 6)
    s.blob([(x + r * np.cos(a), y + r * np.sin(a) * 0.8) for a, r in zip(angle, reach, strict=True)], stone)


def crate(s: Sketch, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    width, height = size * rng.uniform(0.3, 0.6), size * rng.uniform(0.25, 0.55)
    front = random_pattern(random_color(rng), rng, kinds=("bands", "stripes", "checks"), scale=0.06, chance=0.5)
    s.poly(
        [
            (x, y + height),
            (x + width, y + height),
            (x + width * 1.2, y + height * 1.2),
            (x + width * 0.2, y + height * 1.2),
        ],
        front.with_tone(1.2),
    )
    s.poly(
        [
            (x + width, y),
            (x + width * 1.2, y + height * 0.2),
            (x + width * 1.2, y + height * 1.2),
            (x + width, y + height),
        ],
        front.with_tone(0.6),
    )
    s.box(x, y, x + width, y + height, front)


def ball(s: Sketch, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    r = size * rng.uniform(0.12, 0.22)
    fill = random_pattern(
        random_color(rng, saturation=0.7), rng, kinds=("stripes", "checks", "spots"), scale=r, chance=0.6
    )
    s.oval(x, y + r, r, r, fill.with_roundness(0.9))


def cone(s: Sketch, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    color = Fill(random_color(rng, saturation=0.8), (245, 240, 230), "bands", size * 0.22, roundness=0.6)
    s.poly(
        [
            (x - size * 0.16, y),
            (x + size * 0.16, y),
            (x + size * 0.03, y + size * 0.45),
            (x - size * 0.03, y + size * 0.45),
        ],
        color,
    )
    s.box(x - size * 0.21, y - 0.01, x + size * 0.21, y + 0.02, color.color)


def tuft(s: Sketch, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    green = mix_colors((90, 140, 70), random_color(rng), rng.uniform(0, 0.6))
    for lean in (-0.1, -0.04, 0.03, 0.1):
        s.rod(
            [(x + lean * 0.3, y), (x + lean * size * 1.6, y + size * rng.uniform(0.12, 0.24))],
            [0.014, 0.004],
            green,
            outline=0,
        )
    if rng.uniform() < 0.3:
        s.oval(x, y + size * 0.2, 0.014, 0.014, random_color(rng, saturation=0.8), outline=0.5)


def picture(s: Sketch, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    """A framed picture on the wall; it looks like a television."""
    width, height = size * rng.uniform(0.35, 0.6), size * rng.uniform(0.35, 0.6)
    s.box(x, y, x + width, y + height, mix_colors((140, 100, 60), random_color(rng), 0.6))
    rim = 0.02
    s.box(x + rim, y + rim, x + width - rim, y + height - rim, random_color(rng, saturation=0.3), outline=0.6)
    for _ in range(3):
        px, py = x + width * rng.uniform(0.3, 0.7), y + height * rng.uniform(0.3, 0.7)
        s.oval(px, py, width * rng.uniform(0.06, 0.2), height * rng.uniform(0.06, 0.2), random_color(rng), outline=0)


def window(s: Sketch, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    width, height, trim = size * 0.6, size * rng.uniform(0.6, 0.8), random_color(rng, saturation=0.2)
    s.box(x, y, x + width, y + height, trim)
    pane = mix_colors((170, 205, 235), random_color(rng), 0.3)
    for column in (0, 1):
        for row in (0, 1):
            left, low = x + 0.02 + column * (width / 2 - 0.008), y + 0.02 + row * (height / 2 - 0.008)
            s.box(left, low, left + width / 2 - 0.03, low + height / 2 - 0.03, pane, outline=0.6)
    cloth = random_pattern(random_color(rng), rng, kinds=("stripes", "spots"), scale=0.05, chance=0.5)
    for side in (-1, 1):
        cx = x + width / 2 + side * width * 0.55
        s.poly(
            [
                (cx - 0.06, y + height + 0.03),
                (cx + 0.06, y + height + 0.03),
                (cx + 0.04 + side * 0.03, y - 0.06),
                (cx - 0.04 + side * 0.03, y - 0.06),
            ],
            cloth,
        )


def shelf(s: Sketch, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    width = size * rng.uniform(0.5, 0.9)
    s.box(x, y, x + width, y + 0.025, mix_colors((150, 110, 70), random_color(rng), 0.4))
    left = x + 0.01
    while left < x + width - 0.06:
        thickness, height = rng.uniform(0.02, 0.05), rng.uniform(0.09, 0.16)
        s.box(left, y + 0.025, left + thickness, y + height, random_color(rng), outline=0.7)
        left += thickness + (0.04 if rng.uniform() < 0.2 else 0.003)


def rug(s: Sketch, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    cloth = random_pattern(random_color(rng), rng, kinds=("bands", "checks", "spots"), scale=0.09, chance=0.8)
    s.oval(x, y - 0.06, size * 0.7, size * 0.16, cloth)


def ripple(s: Sketch, rng: np.random.Generator, x: float, y: float, size: float) -> None:
    foam = Fill(mix_colors((245, 250, 252), random_color(rng), 0.2), opacity=0.6)
    s.rod([(x - 0.1 * size, y), (x, y + 0.012), (x + 0.1 * size, y)], 0.01, foam, outline=0)
