"""The presets of augment.py as numbers for a whole batch: where each pixel of a crop lies in its photo, and its colours.

Same operations, chances and ranges; the colour ones in one order (brightness, contrast, then saturation, hue and grey as
one matrix in YIQ). torchvision's transforms v2 change a batch in one way, or one photo after the other; here each photo
has its own draw and all are computed at once. Everything is float64 on the CPU, a few numbers a photo.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vocctl.seeding import derived_seed

NAMES = (
    "area", "ratio", "left", "top", "angle", "scale", "slant", "lean", "turn", "flip", "jitter", "brightness", "contrast",
    "saturation", "hue", "grey", "blur",
)  # fmt: skip
RATIO, DEGREES, SCALE, SHEAR = (3 / 4, 4 / 3), 15.0, (0.8, 1.2), 5.0
TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], dtype=torch.float64)

Draw = dict[str, Tensor]  # (B,) in [0, 1) under each of NAMES


@dataclass(frozen=True)
class Ranges:
    """Chances and ranges of one preset."""

    crop: float  # smallest share of the photo's area that a crop shows
    turn: float  # chance of rotation, scale and shear
    jitter: float  # chance of other colours
    strength: float  # brightness, contrast, saturation: times 1 - strength .. 1 + strength
    hue: float  # turns of the colour circle, either way
    grey: float  # chance
    blur: float  # chance
    flip: float = 0.5  # chance


RANGES = {
    "light": Ranges(crop=0.5, turn=0.0, jitter=0.5, strength=0.2, hue=0.02, grey=0.0, blur=0.0),
    "strong": Ranges(crop=0.25, turn=0.5, jitter=0.8, strength=0.4, hue=0.05, grey=0.05, blur=0.1),
}


def drawn(seed: int, places: list[tuple[int, int]]) -> Draw:
    """What (seed, epoch, index) decides, for each (epoch, index)."""
    numbers = [
        np.random.Generator(np.random.PCG64(derived_seed("augment", seed, *place))).random(len(NAMES))
        for place in places
    ]
    return dict(zip(NAMES, torch.from_numpy(np.stack(numbers, axis=1)), strict=True))


def whole_photo(sizes: Tensor, side: int) -> Tensor:
    """As `placing`, without a draw: the longer side fits the square, the photo is in its middle. sizes: (B, 2), H and W."""
    scale = sizes.amax(1) / side
    matrix = torch.zeros(len(sizes), 2, 3, dtype=torch.float64)
    matrix[:, 0, 0] = matrix[:, 1, 1] = scale
    matrix[:, :, 2] = (sizes.flip(1) - scale[:, None] * side) / 2
    return matrix


def placing(draw: Draw, sizes: Tensor, side: int, ranges: Ranges) -> Tensor:
    """(B, 2, 3): from a point (x, y) of the square, in pixels from its corner, to the photo's. sizes: (B, 2), H and W."""
    height, width = sizes.unbind(1)
    area = _between(draw["area"], ranges.crop, 1.0) * height * width
    ratio = _between(draw["ratio"], math.log(RATIO[0]), math.log(RATIO[1])).exp()
    crop = torch.stack([(area * ratio).sqrt().minimum(width), (area / ratio).sqrt().minimum(height)], 1)
    origin = torch.stack([draw["left"], draw["top"]], 1) * (sizes.flip(1) - crop)
    upright = torch.eye(2, dtype=torch.float64)
    turned = torch.where((draw["turn"] < ranges.turn)[:, None, None], _turned(draw), upright)
    middle = sizes.flip(1) / 2
    moved = (turned @ (origin - middle)[..., None]) + middle[..., None]
    matrix = torch.cat([turned * (crop / side)[:, None], moved], 2)
    mirrored = draw["flip"] < ranges.flip
    matrix[mirrored, 0] *= -1
    matrix[mirrored, 0, 2] += width[mirrored]
    return matrix


def _turned(draw: Draw) -> Tensor:
    """(B, 2, 2): the inverse of a shear, then a scale and a rotation."""
    angle = math.radians(DEGREES) * _between(draw["angle"], -1, 1)
    slant, lean = ((math.radians(SHEAR) * _between(draw[name], -1, 1)).tan() for name in ("slant", "lean"))
    one = torch.ones_like(angle)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    shear = torch.stack([one, slant, lean, one], 1).view(-1, 2, 2)
    return torch.linalg.inv(_between(draw["scale"], *SCALE)[:, None, None] * turn @ shear)


def colours(draw: Draw, ranges: Ranges) -> Tensor:
    """(B, 3, 5): a matrix for saturation, hue and grey, and in the last two columns brightness and contrast."""
    changed = draw["jitter"] < ranges.jitter

    def factor(name: str) -> Tensor:
        return torch.where(changed, _between(draw[name], 1 - ranges.strength, 1 + ranges.strength), 1.0)

    angle = torch.where(changed, 2 * math.pi * ranges.hue * _between(draw["hue"], -1, 1), 0.0)
    saturation = torch.where(draw["grey"] < ranges.grey, 0.0, factor("saturation"))
    turn = torch.zeros(len(angle), 3, 3, dtype=torch.float64)
    turn[:, 0, 0] = 1.0
    turn[:, 1, 1] = turn[:, 2, 2] = saturation * angle.cos()
    turn[:, 2, 1] = saturation * angle.sin()
    turn[:, 1, 2] = -turn[:, 2, 1]
    factors = torch.stack([factor("brightness"), factor("contrast")], 1)
    return torch.cat([torch.linalg.inv(TO_YIQ) @ turn @ TO_YIQ, factors[:, None].expand(-1, 3, -1)], 2)


def _between(numbers: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * numbers
