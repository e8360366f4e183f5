"""Colors of labels, of errors and of overlays."""

import subprocess
import sys

import numpy as np

from vocctl.labels import IGNORE
from vocctl.plots.mask_colors import (
    ERROR_COLORS,
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    WRONG_CLASS,
    colorize_labels,
    error_map,
    error_masks,
    overlay_labels,
)

VOID = "void, not scored"
TRUE_LABELS = np.array([[0, 3, 3], [0, 5, IGNORE]], np.uint8)
PREDICTED_LABELS = np.array([[0, 3, 0], [7, 6, 3]], np.uint8)


def test_colorize_labels():
    colors = colorize_labels(TRUE_LABELS)
    assert (colors.shape, colors.dtype) == ((2, 3, 3), np.uint8)
    # the devkit's colors of 0, 3, 5 and 255
    assert colors[0].tolist() == [[0, 0, 0], [128, 128, 0], [128, 128, 0]]
    assert colors[1].tolist() == [[0, 0, 0], [128, 0, 128], [224, 224, 192]]


def test_error_map():
    errors = [["correct", "correct", FALSE_NEGATIVE], [FALSE_POSITIVE, WRONG_CLASS, VOID]]
    expected = [[list(ERROR_COLORS[error]) for error in row] for row in errors]
    assert error_map(TRUE_LABELS, PREDICTED_LABELS).tolist() == expected


def test_void_pixels_are_not_errors():
    true_labels = np.full((1, 3), IGNORE, np.uint8)
    colors = error_map(true_labels, np.array([[0, 5, IGNORE]], np.uint8))
    assert (colors == ERROR_COLORS[VOID]).all()


def test_error_colors_are_distinct():
    assert len(set(ERROR_COLORS.values())) == 5


def test_overlay_labels():
    image = np.full((1, 2, 3), 100, np.uint8)
    # background stays; 15 is a person, (192, 128, 128)
    assert overlay_labels(image, np.array([[0, 15]], np.uint8)).tolist() == [[[100, 100, 100], [146, 114, 114]]]


def test_error_masks():
    masks = error_masks(TRUE_LABELS, PREDICTED_LABELS)
    assert {name: np.argwhere(mask).tolist() for name, mask in masks.items()} == {
        FALSE_NEGATIVE: [[0, 2]], FALSE_POSITIVE: [[1, 0]], WRONG_CLASS: [[1, 1]],
    }  # fmt: skip


def test_overlays_need_no_matplotlib():
    code = "import sys, vocctl.plots.mask_colors; print({'matplotlib', 'seaborn'} & sys.modules.keys())"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "set()"
