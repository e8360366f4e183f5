"""Images and masks that can be read, but whose files contradict themselves or each other: sizes, palettes, EXIF data."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vocctl.data.images import SIDEWAYS, image_orientation, largest_16_bit_value, size_mismatch
from vocctl.data.mask_labels import PaletteUse
from vocctl.data.split_files import Problem

DARK = 4096  # 16-bit gray below it, as sensors of 10 or 12 bits write it, becomes 0 to 15 of 255


def pixel_problems(
    image_path: Path, shape: tuple[int, ...], mask_path: Path, mask: np.ndarray, use: PaletteUse
) -> Iterator[Problem]:
    """The problems of an image of this shape (H, W) and its mask, both as the data set reads them. use: of its palette."""
    if mask.shape != shape:
        yield Problem(mask_path, size_mismatch(mask, shape, image_path))
    elif _hides_orientation(image_orientation(image_path), shape):
        yield Problem(
            image_path,
            f"has EXIF orientation {image_orientation(image_path)}, and its mask fits upright or as stored: the mask is taken "
            "as drawn on the upright image; check that, and save the image upright without EXIF data",
        )
    if use == "color":
        yield Problem(
            mask_path,
            "has VOC's colors in its palette, but at other indices than the labels: it is read by color; save it with VOC's "
            "palette, since other programs read the indices",
        )


def pixel_notes(image_path: Path, shape: tuple[int, ...], *, has_mask: bool) -> Iterator[Problem]:
    """What is read as it should be, but not as it is stored."""
    orientation = image_orientation(image_path)
    if orientation != 1 and not (has_mask and _hides_orientation(orientation, shape)):
        yield Problem(image_path, f"has EXIF orientation {orientation}: it is read upright, as viewers show it")
    largest = largest_16_bit_value(image_path)
    if largest is not None and largest < DARK:
        yield Problem(
            image_path,
            f"has 16 bits per pixel, but no value above {largest}: it is read nearly black; scale its values to 0..65535",
        )


def _hides_orientation(orientation: int, shape: tuple[int, ...]) -> bool:
    """Whether the image has the same size (H, W) upright and as stored."""
    return orientation != 1 and (orientation not in SIDEWAYS or shape[0] == shape[1])
