"""Names, order and colors, against the devkit's own list."""

import subprocess
import sys

import numpy as np
import torch
from PIL import Image

from vocctl.labels import (
    CLASSES,
    FLAT_PALETTE,
    IGNORE,
    NUM_SEG_CLASSES,
    PALETTE,
    SEG_CLASSES,
    classes_in_mask,
    classes_in_masks,
    label_color,
)

NAMES = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "
    "pottedplant sheep sofa train tvmonitor"
)
COLORS = """
0 (0,0,0) 1 (128,0,0) 2 (0,128,0) 3 (128,128,0) 4 (0,0,128) 5 (128,0,128) 6 (0,128,128) 7 (128,128,128) 8 (64,0,0)
9 (192,0,0) 10 (64,128,0) 11 (192,128,0) 12 (64,0,128) 13 (192,0,128) 14 (64,128,128) 15 (192,128,128) 16 (0,64,0)
17 (128,64,0) 18 (0,192,0) 19 (128,192,0) 20 (0,64,128) 255 (224,224,192)
"""


def test_names_and_order():
    assert " ".join(SEG_CLASSES) == NAMES
    assert SEG_CLASSES[1:] == CLASSES
    assert (len(CLASSES), NUM_SEG_CLASSES, IGNORE) == (20, 21, 255)
    assert SEG_CLASSES[15] == "person"


def test_palette_is_the_devkits():
    words = COLORS.split()
    pairs = zip(words[::2], words[1::2], strict=True)
    listed = {int(label): tuple(map(int, color.strip("()").split(","))) for label, color in pairs}
    assert len(listed) == 22
    assert {label: PALETTE[label] for label in listed} == listed
    assert {label: label_color(label) for label in listed} == listed


def test_palette_has_256_colors_that_differ():
    assert len(PALETTE) == len(set(PALETTE)) == 256


def test_flat_palette_fits_pil():
    assert len(FLAT_PALETTE) == 768
    image = Image.fromarray(np.array([[0, 15, 255]], np.uint8))
    image.putpalette(FLAT_PALETTE)
    assert np.asarray(image.convert("RGB")).tolist() == [[[0, 0, 0], [192, 128, 128], [224, 224, 192]]]


MASKS = np.array([[[0, 255], [3, 3]], [[20, 1], [0, 0]], [[0, 0], [0, 255]]], np.uint8)
IN_MASKS = [[2], [0, 19], []]  # indices of CLASSES: neither background nor border


def test_classes_in_mask():
    assert [np.flatnonzero(classes_in_mask(mask)).tolist() for mask in MASKS] == IN_MASKS
    assert classes_in_mask(MASKS[0]).shape == (20,)
    assert classes_in_mask(MASKS[0]).dtype == bool


def test_classes_in_masks():
    present = classes_in_masks(torch.from_numpy(MASKS))
    assert [row.nonzero().flatten().tolist() for row in present] == IN_MASKS
    assert (present.shape, present.dtype) == ((3, 20), torch.int64)
    assert torch.equal(classes_in_masks(torch.from_numpy(MASKS).long()), present)


def test_import_is_light():
    code = "import sys, vocctl.labels; assert not {'numpy', 'torch'} & sys.modules.keys()"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
