"""What a shape is filled with: its color, its pattern, how round and how clear it looks.

Colors are (R, G, B) in 0..255. No color belongs to one class: bodies, furs and backgrounds draw from the same
functions below, so that a pixel's color says little about its label.
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
    """One way of filling a shape. pattern mixes in `second`: plain, stripes, bands, spots, patches, checks or grain."""

    color: Color
    second: Color = (0, 0, 0)
    pattern: str = "plain"
    scale: float = 0.1  # the pattern's period, in units of the drawing
    phase: tuple[float, float, float] = (0.0, 0.0, 0.0)  # shifts the pattern, in radians
    roundness: float = 0.0  # 0 flat .. 1 like a ball
    opacity: float = 1.0

    def rounder(self, roundness: float) -> "Fill":
        return replace(self, roundness=roundness)

    def toned(self, factor: float) -> "Fill":
        """Darker (< 1) or lighter (> 1)."""
        return replace(self, color=tone(self.color, factor), second=tone(self.second, factor))


def tone(color: Color, factor: float) -> Color:
    """Darker by a factor < 1; by a factor > 1, lighter on the way to white."""
    red, green, blue = (c * factor if factor <= 1 else 255 - (255 - c) / factor for c in color)
    return int(red), int(green), int(blue)


def mixed(one: Color, other: Color, share: float) -> Color:
    """`share` of other, the rest of one."""
    red, green, blue = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return int(red), int(green), int(blue)


def any_color(rng: np.random.Generator, *, lively: float = 0.6) -> Color:
    """Any hue; `lively` is the usual saturation, in [0, 1]."""
    saturation = float(np.clip(rng.normal(lively, 0.2), 0.02, 0.95))
    red, green, blue = colorsys.hsv_to_rgb(rng.uniform(), saturation, rng.uniform(0.35, 0.97))
    return int(red * 255), int(green * 255), int(blue * 255)


def fur_color(rng: np.random.Generator) -> Color:
    """A natural coat, a little off, and once in six times a coat of any muted color."""
    if rng.uniform() < 0.16:
        return any_color(rng, lively=0.3)
    return mixed(FURS[rng.integers(len(FURS))], any_color(rng, lively=0.3), rng.uniform(0, 0.2))


def patterned(color: Color, rng: np.random.Generator, *, kinds: tuple[str, ...], scale: float, chance: float) -> Fill:
    """A fill with one of the patterns, or a plain one with probability 1 - chance."""
    if rng.uniform() >= chance:
        return Fill(color)
    dark = sum(color) < 330
    second = tone(color, rng.uniform(1.6, 3.0) if dark else rng.uniform(0.35, 0.7))
    if rng.uniform() < 0.4:
        second = fur_color(rng)
    first, then, last = rng.uniform(0, 2 * np.pi, 3)
    kind = kinds[rng.integers(len(kinds))]
    return Fill(color, second, kind, scale * rng.uniform(0.8, 1.25), (float(first), float(then), float(last)))


def pattern_share(fill: Fill, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How much of fill.second shows at the points (x, y) of the drawing: in [0, 1], the shape of x."""
    u, v = x * (2 * np.pi / fill.scale), y * (2 * np.pi / fill.scale)
    a, b, c = fill.phase
    if fill.pattern == "stripes":  # upright, wavy
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
        raise ValueError(f"no pattern is called {fill.pattern!r}")
    return np.clip(wave * 3 + 0.5, 0, 1)
