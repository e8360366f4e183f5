"""The presets of augment.py as numbers for a whole epoch: where each pixel of a crop lies in its image, and its colors.

Same operations, chances and ranges, but for the blur, which is of one strength (5 pixels, sigma 1); the color ones in one
order (brightness, contrast, saturation and gray), cut off at their end alone: so they are one sum. torchvision's transforms
v2 change a batch in one way, or one image after the other; here each image has its own draw, and an epoch's are computed at
once. Everything is float64 on the CPU, a few numbers a image.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vocctl.seeding import derived_seed

NAMES = (
    "area", "ratio", "left", "top", "angle", "wide", "high", "slant", "lean", "turn", "flip", "jitter", "brightness",
    "contrast", "saturation", "gray", "blur",
)  # fmt: skip
RATIO, DEGREES, SHEAR = (3 / 4, 4 / 3), 15.0, 5.0
GRAY = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)  # ITU-R BT.601

Draw = dict[str, Tensor]  # (B,) in [0, 1) under each of NAMES


@dataclass(frozen=True)
class Ranges:
    """Chances and ranges of one preset."""

    crop: float = 0.0  # smallest share of the image's area that a crop shows; 0: none
    covers: bool = False  # without a crop: the image's middle fills the square; else all of it is shown, padded
    turn: float = 0.0  # chance of rotation, scale, shear and shift
    scale: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0  # of the image's sides, either way, where no crop is drawn
    jitter: float = 0.0  # chance of other colors
    strength: float = 0.0  # brightness, contrast, saturation: times 1 - strength .. 1 + strength
    gray: float = 0.0  # chance
    blur: float = 0.0  # chance
    flip: float = 0.5  # chance


RANGES = {
    "none": Ranges(flip=0.0),
    "light": Ranges(crop=0.5, jitter=0.5, strength=0.2),
    "strong": Ranges(crop=0.25, turn=0.5, scale=(0.8, 1.2), jitter=0.8, strength=0.4, gray=0.05, blur=0.1),
    "affine": Ranges(covers=True, turn=0.8, scale=(0.8, 1.25), shift=0.1, jitter=0.8, strength=0.4, gray=0.05),
}


def sampled_params(seed: int, epoch: int, images: int) -> Draw:
    """What (seed, epoch, index) decides, for each index below images."""
    numbers = np.random.Generator(np.random.PCG64(derived_seed("augment", seed, epoch))).random((images, len(NAMES)))
    return dict(zip(NAMES, torch.from_numpy(numbers).unbind(1), strict=True))


def affine_matrices(draw: Draw, sizes: Tensor, ranges: Ranges) -> Tensor:
    """(B, 2, 3): from a point (x, y) of the square, both in [0, 1], to the image's, in pixels from its corner.

    sizes: (B, 2), H and W.
    """
    height, width = sizes.unbind(1)
    middle, place = sizes.flip(1) / 2, torch.stack([draw["left"], draw["top"]], 1)
    changed = draw["turn"] < ranges.turn
    if ranges.crop:
        area = _between(draw["area"], ranges.crop, 1.0) * height * width
        ratio = _between(draw["ratio"], math.log(RATIO[0]), math.log(RATIO[1])).exp()
        crop = torch.stack([(area * ratio).sqrt().minimum(width), (area / ratio).sqrt().minimum(height)], 1)
        origin = place * (sizes.flip(1) - crop)
    else:
        crop = (sizes.amin(1) if ranges.covers else sizes.amax(1))[:, None].expand(-1, 2)
        shift = sizes.flip(1) * _between(place, -ranges.shift, ranges.shift)
        origin = middle - crop / 2 - shift * changed[:, None]
    upright = torch.eye(2, dtype=torch.float64)
    turned = torch.where(changed[:, None, None], _turned(draw, ranges.scale), upright)
    moved = (turned @ (origin - middle)[..., None]) + middle[..., None]
    matrix = torch.cat([turned * crop[:, None], moved], 2)
    mirrored = draw["flip"] < ranges.flip
    matrix[mirrored, 0] *= -1
    matrix[mirrored, 0, 2] += width[mirrored]
    return matrix


def _turned(draw: Draw, scale: tuple[float, float]) -> Tensor:
    """(B, 2, 2): the inverse of a scale, each way its own, then a rotation and a shear."""
    angle = math.radians(DEGREES) * _between(draw["angle"], -1, 1)
    slant, lean = ((math.radians(SHEAR) * _between(draw[name], -1, 1)).tan() for name in ("slant", "lean"))
    one = torch.ones_like(angle)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    shear = torch.stack([one, slant, lean, one], 1).view(-1, 2, 2)
    scales = _between(torch.stack([draw["wide"], draw["high"]], 1), *scale)
    return torch.linalg.inv(shear @ turn * scales[:, None])


def color_matrices(draw: Draw, ranges: Ranges) -> Tensor:
    """(B, 3): how much of a pixel's own color, of its gray and of the image's mean gray is summed up to its new color."""
    changed = draw["jitter"] < ranges.jitter

    def factor(name: str) -> Tensor:
        return torch.where(changed, _between(draw[name], 1 - ranges.strength, 1 + ranges.strength), 1.0)

    brightness, contrast = factor("brightness"), factor("contrast")
    saturation = torch.where(draw["gray"] < ranges.gray, 0.0, factor("saturation"))
    kept = brightness * contrast
    return torch.stack([kept * saturation, kept * (1 - saturation), brightness - kept], 1)


def _between(numbers: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * numbers
