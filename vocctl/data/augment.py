"""Augmentation presets, the only file that knows albumentations.

Images are cut to size x size. Masks are resampled by nearest, and padded with IGNORE. albumentations asks the package
index for its newest version when imported; the variable below, set before, switches that off.
"""

import os
import random

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations as A
import cv2
import numpy as np

from vocctl.labels import IGNORE

cv2.setNumThreads(0)  # the images of a batch are spread over workers; threads inside would fight the model's


def preset(name: str, size: int) -> A.Compose:
    """none: the whole image, shrunk and padded. light: flip, crop, mild color. strong: rotation, more of each.

    The colors' hue stays: turning it takes as long as all else that is done to colors, and gained nothing.
    affine: strong without blur and random crops; the image's middle fills the square, then is scaled and shifted.
    """
    padding = {"border_mode": cv2.BORDER_CONSTANT, "fill": 0, "fill_mask": IGNORE}
    crop = {"size": (size, size), "ratio": (3 / 4, 4 / 3), "mask_interpolation": cv2.INTER_NEAREST}
    turn = {"rotate": (-15, 15), "shear": (-5, 5), "mask_interpolation": cv2.INTER_NEAREST, **padding}
    color = [A.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0, p=0.8), A.ToGray(p=0.05)]
    operations = {
        "none": [
            A.LongestMaxSize(max_size=size, mask_interpolation=cv2.INTER_NEAREST),
            A.PadIfNeeded(size, size, **padding),
        ],
        "light": [
            A.HorizontalFlip(p=0.5),
            A.RandomResizedCrop(scale=(0.5, 1.0), **crop),
            A.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0, p=0.5),
        ],
        "strong": [
            A.HorizontalFlip(p=0.5),
            A.Affine(scale=(0.8, 1.2), p=0.5, **turn),
            A.RandomResizedCrop(scale=(0.25, 1.0), **crop),
            *color,
            A.GaussianBlur(blur_limit=(3, 5), p=0.1),
        ],
        "affine": [
            A.SmallestMaxSize(max_size=size, mask_interpolation=cv2.INTER_NEAREST),
            A.HorizontalFlip(p=0.5),
            A.Affine(scale=(0.8, 1.25), translate_percent=(-0.1, 0.1), p=0.8, **turn),
            A.CenterCrop(size, size),
            *color,
        ],
    }
    return A.Compose(operations[name])


def augmented(
    transform: A.Compose, image: np.ndarray, mask: np.ndarray | None, seed: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """One draw of the preset, which seed alone decides. image (H, W, 3), mask (H, W) where there is one, both uint8."""
    # one stream for all: set_random_seed starts each operation at the same draw, and a flipped image is always a turned one
    transform.set_random_state(np.random.default_rng(seed), random.Random(seed))
    if mask is None:
        return transform(image=image)["image"], None
    out = transform(image=image, mask=mask)
    return out["image"], out["mask"]
