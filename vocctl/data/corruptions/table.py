"""The table of corruptions, and how one is applied to an image: the result depends on nothing but the arguments.

To add a corruption, write its function, add a row here, and its name to a category in config/corruptions.py.
"""

from collections.abc import Callable

import numpy as np

from vocctl.data.corruptions.blur import defocus_blur, glass_blur, motion_blur, zoom_blur
from vocctl.data.corruptions.digital import contrast, jpeg_compression, pixelate
from vocctl.data.corruptions.elastic import elastic_transform, elastic_transform_mask
from vocctl.data.corruptions.noise import gaussian_noise, impulse_noise, shot_noise
from vocctl.data.corruptions.weather import brightness, fog, frost, snow
from vocctl.seeding import derived_seed

VERSION = 1  # of the definitions: scores of different versions are not mixed

# (image (H, W, 3) uint8, severity 1 to 5, generator) to an image of the same shape and type
CorruptionFunction = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
FUNCTIONS: dict[str, CorruptionFunction] = {
    "gaussian_noise": gaussian_noise,
    "shot_noise": shot_noise,
    "impulse_noise": impulse_noise,
    "defocus_blur": defocus_blur,
    "glass_blur": glass_blur,
    "motion_blur": motion_blur,
    "zoom_blur": zoom_blur,
    "snow": snow,
    "frost": frost,
    "fog": fog,
    "brightness": brightness,
    "contrast": contrast,
    "elastic_transform": elastic_transform,
    "pixelate": pixelate,
    "jpeg_compression": jpeg_compression,
}
# What moves an object by a large part of the image moves its mask, too. The others leave masks as they are.
MASK_FUNCTIONS: dict[str, CorruptionFunction] = {"elastic_transform": elastic_transform_mask}


def corrupt_image(image: np.ndarray, corruption: str, severity: int, *, image_id: str, seed: int) -> np.ndarray:
    """Return a corrupted copy. image: (H, W, 3) uint8, at its own size. corruption: a name of FUNCTIONS. severity: 1 to 5.

    The result depends only on the arguments. The random numbers are the same at every severity, so that the severities of
    one image differ by their parameters alone.
    """
    return FUNCTIONS[corruption](image, severity, _generator(corruption, image_id, seed))


def corrupt_mask(mask: np.ndarray, corruption: str, severity: int, *, image_id: str, seed: int) -> np.ndarray:
    """The mask of the image that corrupt_image returns for the same arguments. mask: (H, W) uint8."""
    function = MASK_FUNCTIONS.get(corruption)
    return mask if function is None else function(mask, severity, _generator(corruption, image_id, seed))


def _generator(corruption: str, image_id: str, seed: int) -> np.random.Generator:
    return np.random.default_rng(derived_seed("corruption", seed, corruption, image_id))
