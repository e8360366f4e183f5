"""The 21 classes of PASCAL VOC: their names, their order, their colors.

Source: the VOC development kit (class list, and VOClabelcolormap for the palette).
"""

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
SEG_CLASSES = ("background", *CLASSES)  # the index is the label in a mask
NUM_SEG_CLASSES = len(SEG_CLASSES)
IGNORE = 255  # border and void pixels: in no loss and in no score


def label_color(label: int) -> tuple[int, int, int]:
    """The devkit's color of a label: its bits go to R, G, B in turn, from bit 7 down."""
    red = green = blue = 0
    for shift in range(7, -1, -1):
        red |= (label & 1) << shift
        green |= (label >> 1 & 1) << shift
        blue |= (label >> 2 & 1) << shift
        label >>= 3
    return red, green, blue


PALETTE = tuple(label_color(label) for label in range(256))  # 255 is (224, 224, 192)
FLAT_PALETTE = [channel for color in PALETTE for channel in color]  # for PIL's putpalette
