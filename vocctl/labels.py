"""The 21 classes of PASCAL VOC: names, order and colors, and which classes a mask contains.

Source: the VOC development kit (class list; VOClabelcolormap for the palette).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
SEG_CLASSES = ("background", *CLASSES)  # the index is the label in a mask
NUM_SEG_CLASSES = len(SEG_CLASSES)
IGNORE = 255  # border and void pixels, and class labels that are not scored: part of no loss and no score


def classes_in_mask(mask: "np.ndarray") -> "np.ndarray":
    """(20,) bool: the foreground classes in a mask. mask: (H, W) uint8, 0..20 and IGNORE."""
    import numpy as np  # here, because the command line imports this module for the class names

    present: np.ndarray = np.bincount(mask.ravel(), minlength=IGNORE + 1)[1:NUM_SEG_CLASSES] > 0
    return present


def classes_in_masks(masks: "Tensor") -> "Tensor":
    """(B, 20) int64 on the masks' device: 1 if the mask contains the class. masks: (B, H, W) integers, as
    classes_in_mask.
    """
    present = masks.new_zeros((len(masks), IGNORE + 1)).long()
    present.scatter_(1, masks.flatten(1).long(), 1)
    return present[:, 1:NUM_SEG_CLASSES]


def label_color(label: int) -> tuple[int, int, int]:
    """The devkit's RGB color of a label: its bits go to R, G and B in turn, from bit 7 of each channel downwards."""
    red = green = blue = 0
    for shift in range(7, -1, -1):
        red |= (label & 1) << shift
        green |= (label >> 1 & 1) << shift
        blue |= (label >> 2 & 1) << shift
        label >>= 3
    return red, green, blue


PALETTE = tuple(label_color(label) for label in range(256))  # 255 is (224, 224, 192)
FLAT_PALETTE = [channel for color in PALETTE for channel in color]  # for PIL's putpalette
