"""Sample the augmentation parameters of an epoch as affine and color transforms, to be applied on the device.

Operations, probabilities and ranges are those of augment.py, with three differences: the blur kernel is fixed (5 x 5 pixels,
sigma 1); a crop that does not fit into the image is cut to it, not drawn again; and brightness, contrast, saturation and gray
are applied in this order and clipped once at the end, so that a pixel's color is one weighted sum. torchvision's transforms v2
apply the same parameters to a whole batch; here every image has its own, and those of an epoch are computed at once. The
parameters are computed in float64 on the CPU; the pixels are transformed on the device (device_loader.py).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vocctl.seeding import derived_seed

# The parameters, in the order in which their random numbers are drawn.
PARAM_NAMES = (
    "area", "ratio", "left", "top", "angle", "scale_x", "scale_y", "shear_x", "shear_y", "affine", "flip", "jitter",
    "brightness", "contrast", "saturation", "gray", "blur",
)  # fmt: skip
ASPECT_RATIOS, MAX_DEGREES, MAX_SHEAR_DEGREES = (3 / 4, 4 / 3), 15.0, 5.0
GRAY = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)  # weights of R, G, B: ITU-R BT.601

UniformDraws = dict[
    str, Tensor
]  # by PARAM_NAMES: (N,), uniform in [0, 1), before it is mapped to the parameter's range


@dataclass(frozen=True)
class Ranges:
    """Probabilities and ranges of one preset."""

    crop: float = 0.0  # smallest fraction of the image's area that a crop covers; 0: no random crop
    center_crop: bool = False  # without random crops. True: the largest central square; False: the whole image, padded
    affine: float = 0.0  # probability of rotation, scale, shear and shift
    scale: tuple[float, float] = (1.0, 1.0)
    shift: float = 0.0  # largest shift as a fraction of the image's sides, without a random crop
    jitter: float = 0.0  # probability of color jitter
    strength: float = 0.0  # brightness, contrast and saturation are multiplied by 1 - strength .. 1 + strength
    gray: float = 0.0  # probability of gray
    blur: float = 0.0  # probability of blur
    flip: float = 0.5  # probability of a horizontal flip


RANGES = {
    "none": Ranges(flip=0.0),
    "light": Ranges(crop=0.5, jitter=0.5, strength=0.2),
    "strong": Ranges(crop=0.25, affine=0.5, scale=(0.8, 1.2), jitter=0.8, strength=0.4, gray=0.05, blur=0.1),
    "affine": Ranges(center_crop=True, affine=0.8, scale=(0.8, 1.25), shift=0.1, jitter=0.8, strength=0.4, gray=0.05),
}


def uniform_draws(seed: int, epoch: int, num_images: int) -> UniformDraws:
    """The random numbers of every image in one epoch, decided by (seed, epoch, index)."""
    generator = np.random.Generator(np.random.PCG64(derived_seed("augment", seed, epoch)))
    numbers = generator.random((num_images, len(PARAM_NAMES)))
    return dict(zip(PARAM_NAMES, torch.from_numpy(numbers).unbind(1), strict=True))


def affine_matrices(draws: UniformDraws, sizes: Tensor, ranges: Ranges) -> Tensor:
    """(N, 2, 3): maps a point (x, y) of the crop, both in [0, 1], to a point of the image, in pixels from its top left.

    sizes: (N, 2), H and W of the images.
    """
    height, width = sizes.unbind(1)
    center, position = sizes.flip(1) / 2, torch.stack([draws["left"], draws["top"]], 1)
    transformed = draws["affine"] < ranges.affine
    if ranges.crop:
        area = _between(draws["area"], ranges.crop, 1.0) * height * width
        ratio = _between(draws["ratio"], math.log(ASPECT_RATIOS[0]), math.log(ASPECT_RATIOS[1])).exp()
        crop = torch.stack([(area * ratio).sqrt().minimum(width), (area / ratio).sqrt().minimum(height)], 1)
        origin = position * (sizes.flip(1) - crop)
    else:
        crop = (sizes.amin(1) if ranges.center_crop else sizes.amax(1))[:, None].expand(-1, 2)
        shift = sizes.flip(1) * _between(position, -ranges.shift, ranges.shift)
        origin = center - crop / 2 - shift * transformed[:, None]
    identity = torch.eye(2, dtype=torch.float64)
    linear = torch.where(transformed[:, None, None], _inverse_linear(draws, ranges.scale), identity)
    offset = (linear @ (origin - center)[..., None]) + center[..., None]
    matrix = torch.cat([linear * crop[:, None], offset], 2)
    flipped = draws["flip"] < ranges.flip
    matrix[flipped, 0] *= -1
    matrix[flipped, 0, 2] += width[flipped]
    return matrix


def _inverse_linear(draws: UniformDraws, scale: tuple[float, float]) -> Tensor:
    """(N, 2, 2): the inverse of a scale in x and in y, then a rotation, then a shear."""
    angle = math.radians(MAX_DEGREES) * _between(draws["angle"], -1, 1)
    shear_x, shear_y = (
        (math.radians(MAX_SHEAR_DEGREES) * _between(draws[name], -1, 1)).tan() for name in ("shear_x", "shear_y")
    )
    ones = torch.ones_like(angle)
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    shear = torch.stack([ones, shear_x, shear_y, ones], 1).view(-1, 2, 2)
    scales = _between(torch.stack([draws["scale_x"], draws["scale_y"]], 1), *scale)
    return torch.linalg.inv(shear @ rotation * scales[:, None])  # * scales: matrix product with diag(scales)


def color_weights(draws: UniformDraws, ranges: Ranges) -> Tensor:
    """(N, 3): weights of a pixel's own color, of its gray and of the image's mean gray. Their weighted sum is the new color."""
    jittered = draws["jitter"] < ranges.jitter

    def factor(name: str) -> Tensor:
        return torch.where(jittered, _between(draws[name], 1 - ranges.strength, 1 + ranges.strength), 1.0)

    brightness, contrast = factor("brightness"), factor("contrast")
    saturation = torch.where(draws["gray"] < ranges.gray, 0.0, factor("saturation"))
    contrasted = brightness * contrast
    return torch.stack([contrasted * saturation, contrasted * (1 - saturation), brightness - contrasted], 1)


def _between(numbers: Tensor, low: float, high: float) -> Tensor:
    """Map [0, 1) to [low, high)."""
    return low + (high - low) * numbers
