"""Augmentation presets. This is the only module that uses albumentations, and it imports it when a preset is built.

Crops are size x size. Masks are resampled by nearest neighbor and padded with IGNORE.
"""

import os
import random
from typing import TYPE_CHECKING

import numpy as np

from vocctl.data.resize import disable_opencv_threads
from vocctl.labels import IGNORE

if TYPE_CHECKING:
    from albumentations import Compose


def preset(name: str, size: int) -> "Compose":
    """Build the transform of a preset.

    none: the whole image, downscaled and padded. light: flip, crop, mild color jitter. strong: also rotation, with a wider
    range of each. affine: as strong without blur and random crops; the center of the image fills the crop, and is then
    scaled and shifted. Hue is never changed: it takes as long as all other color changes, and improved no score.
    """
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # else its import asks the package index for its newest version
    import albumentations as A
    import cv2

    disable_opencv_threads()
    padding = {"border_mode": cv2.BORDER_CONSTANT, "fill": 0, "fill_mask": IGNORE}
    crop = {"size": (size, size), "ratio": (3 / 4, 4 / 3), "mask_interpolation": cv2.INTER_NEAREST}
    affine = {"rotate": (-15, 15), "shear": (-5, 5), "mask_interpolation": cv2.INTER_NEAREST, **padding}
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
            A.Affine(scale=(0.8, 1.2), p=0.5, **affine),
            A.RandomResizedCrop(scale=(0.25, 1.0), **crop),
            *color,
            A.GaussianBlur(blur_limit=(3, 5), p=0.1),
        ],
        "affine": [
            A.SmallestMaxSize(max_size=size, mask_interpolation=cv2.INTER_NEAREST),
            A.HorizontalFlip(p=0.5),
            A.Affine(scale=(0.8, 1.25), translate_percent=(-0.1, 0.1), p=0.8, **affine),
            A.CenterCrop(size, size),
            *color,
        ],
    }
    return A.Compose(operations[name])


def augment_image(transform: "Compose", image: np.ndarray, seed: int) -> np.ndarray:
    """image: (H, W, 3) uint8. Returns (S, S, 3) uint8; the seed alone decides the random parameters."""
    _seed(transform, seed)
    return transform(image=image)["image"]


def augment_pair(transform: "Compose", image: np.ndarray, mask: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Augment an image and its mask (H, W) uint8 alike. The other arguments are those of augment_image."""
    _seed(transform, seed)
    augmented = transform(image=image, mask=mask)
    return augmented["image"], augmented["mask"]


def _seed(transform: "Compose", seed: int) -> None:
    # set_random_seed would start every operation at the same random number, so that flips and rotations were correlated
    transform.set_random_state(np.random.default_rng(seed), random.Random(seed))
