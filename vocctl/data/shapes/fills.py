"""Fills of shapes: color, pattern, shading and opacity.

Colors are (R, G, B) in 0..255. No color belongs to one class: objects and backgrounds draw colors from the same
functions, so that a pixel's color says little about its label.
"""

import colorsys
from dataclasses import dataclass, replace

import numpy as np

Color = tuple[int, int, int]

FURS: tuple[Color, ...] = (
    (236, 228, 212), (214, 186, 146), (196, 136, 78), (150, 96, 58), (96, 64, 46), (52, 46, 46), (150, 146, 146),
    (104, 102, 108), (224, 160, 92), (176, 112, 84), (246, 242, 238), (122, 84, 70),
)  # fmt: skip


@dataclass(frozen=True)
class Fill:
    """The fill of a shape. pattern: plain, stripes, bands, spots, patches, checks or grain, of `color` and `second`."""

    color: Color
    second: Color = (0, 0, 0)
    pattern: str = "plain"
    scale: float = 0.1  # period of the pattern, in units of the sketch
    phase: tuple[float, float, float] = (0.0, 0.0, 0.0)  # shift of the pattern, in radians
    roundness: float = 0.0  # shading: 0 is flat, 1 is a ball
    opacity: float = 1.0

    def with_roundness(self, roundness: float) -> "Fill":
        return replace(self, roundness=roundness)

    def with_tone(self, factor: float) -> "Fill":
        """Darker (< 1) or lighter (> 1)."""
        return replace(self, color=tone(self.color, factor), second=tone(self.second, factor))


def tone(color: Color, factor: float) -> Color:
    """Multiply the color by a factor <= 1 (darker), or divide its distance from white by a factor > 1 (lighter)."""
    red, green, blue = (c * factor if factor <= 1 else 255 - (255 - c) / factor for c in color)
    return int(red), int(green), int(blue)


def mix_colors(first: Color, second: Color, fraction: float) -> Color:
    """fraction: of the second color, in [0, 1]."""
    red, green, blue = (a + (b - a) * fraction for a, b in zip(first, second, strict=True))
    return int(red), int(green), int(blue)


def random_color(rng: np.random.Generator, *, saturation: float = 0.6) -> Color:
    """Draw a color of any hue. saturation: its mean, in [0, 1]."""
    sampled_saturation = float(np.clip(rng.normal(saturation, 0.2), 0.02, 0.95))
    red, green, blue = colorsys.hsv_to_rgb(rng.uniform(), sampled_saturation, rng.uniform(0.35, 0.97))
    return int(red * 255), int(green * 255), int(blue * 255)


def random_fur_color(rng: np.random.Generator) -> Color:
    """A slightly varied natural fur color, or with probability 0.16 any muted color."""
    if rng.uniform() < 0.16:
        return random_color(rng, saturation=0.3)
    return mix_colors(FURS[rng.integers(len(FURS))], random_color(rng, saturation=0.3), rng.uniform(0, 0.2))


def random_pattern(
    color: Color, rng: np.random.Generator, *, kinds: tuple[str, ...], scale: float, chance: float
) -> Fill:
    """A fill with one of the patterns, or a plain fill with probability 1 - chance. scale: mean period."""
    if rng.uniform() >= chance:
        return Fill(color)
    dark = sum(color) < 330
    second = tone(color, rng.uniform(1.6, 3.0) if dark else rng.uniform(0.35, 0.7))
    if rng.uniform() < 0.4:
        second = random_fur_color(rng)
    phase = rng.uniform(0, 2 * np.pi, 3).tolist()
    kind = kinds[rng.integers(len(kinds))]
    return Fill(color, second, kind, scale * rng.uniform(0.8, 1.25), (phase[0], phase[1], phase[2]))


def second_color_weight(fill: Fill, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Fraction of fill.second in the color at the points (x, y) of the sketch, in [0, 1]; it has the shape of x."""
    u, v = x * (2 * np.pi / fill.scale), y * (2 * np.pi / fill.scale)
    a, b, c = fill.phase
    if fill.pattern == "stripes":  # vertical, wavy
        wave = np.sin(u + 0.7 * np.sin(v * 0.4 + a) + b) - 0.25
    elif fill.pattern == "bands":
        wave = np.sin(v + a)
    elif fill.pattern == "spots":
        wave = np.sin(u + 0.8 * np.sin(v * 0.5) + a) * np.sin(v + b) - 0.45
    elif fill.pattern == "checks":
        wave = np.sin(u + a) * np.sin(v + b) * 2
    elif fill.pattern == "patches":
        wave = np.sin(0.5 * u + a) + np.sin(0.45 * v - 0.3 * u + b) + np.sin(0.35 * u + 0.6 * v + c) - 0.5
    elif fill.pattern == "grain":  # wool, rough cloth
        wave = 0.25 * (np.sin(u + 2 * np.sin(v * 0.8 + a)) + np.sin(v + 2 * np.sin(u * 0.7 + b)) - 0.6)
    else:
        raise ValueError(f"unknown pattern {fill.pattern!r}")
    return np.clip(wave * 3 + 0.5, 0, 1)
