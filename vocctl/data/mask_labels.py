"""Which label each pixel of an opened mask has, whatever the mode of its file.

VOC's masks are palette PNGs: the stored index is the label, and the palette only says how a viewer shows it. A tool that
writes the file again may renumber the colors (`Image.quantize`, many editors): then the index says nothing, and the color
is still VOC's. Annotation tools also export RGB in VOC's colors.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from vocctl.errors import DataError
from vocctl.labels import IGNORE, NUM_SEG_CLASSES, PALETTE, SEG_CLASSES

Color = tuple[int, int, int]
PaletteUse = Literal["index", "foreign", "color"]  # foreign: by index, but with colors that are not VOC's
LABEL_OF = {PALETTE[label]: label for label in (*range(NUM_SEG_CLASSES), IGNORE)}  # VOC's color -> label
VOC_PALETTE = bytes(channel for color in PALETTE for channel in color)
BGR_CLASSES = bytes(
    channel for color in PALETTE[:NUM_SEG_CLASSES] for channel in reversed(color)
)  # as OpenCV's programs
WEB_PALETTE = bytes(Image.new("RGB", (1, 1)).convert("P").getpalette() or ())  # of Image.convert("P")
GRAY_LABELS = {*range(NUM_SEG_CLASSES), IGNORE}
GRAY_BELOW_8_BITS = ("L;2", "L;4")  # Pillow's names: it scales these values to 0..255
ADVICE = "save it as a PNG with VOC's palette"


def mask_labels(image: Image.Image, path: Path) -> tuple[np.ndarray, PaletteUse]:
    """(H, W) integers, not yet checked to be labels of VOC; and how its palette was used.

    path: for messages.
    Raises DataError: a mode whose values can't be labels, or colors that are not VOC's.
    """
    if problem := _scaled_values(image):
        raise DataError(f"{path} has {problem}: {ADVICE}")
    if image.mode == "P":
        indices = np.asarray(image)
        table, use = _palette_labels(bytes(image.getpalette("RGB") or ()), indices, path)
        return table[indices], use
    if image.mode in ("RGB", "RGBA"):
        return _labels_of_colors(np.asarray(image), path), "index"
    if image.mode == "LA":
        values = np.asarray(image)
        if (values[..., 1] == 255).all():
            return values[..., 0], "index"
    if image.mode == "L" or image.mode.startswith("I"):
        return np.asarray(image), "index"
    raise DataError(f"{path} is a {image.mode} mask, whose values cannot be labels: {ADVICE}")


def _scaled_values(image: Image.Image) -> str:
    """Why the values that Pillow returns are not those of the file; empty: they are. The image must not be loaded yet."""
    tiles = getattr(image, "tile", [])  # how the file stores the pixels
    if not tiles:
        return ""
    decoder, arguments = tiles[0][0], tiles[0][3]
    raw_mode, *others = arguments if isinstance(arguments, tuple) else (arguments,)
    if raw_mode in GRAY_BELOW_8_BITS:
        return "gray values of less than 8 bits, which may be labels or shades"
    if decoder in ("ppm", "ppm_plain") and others and others[0] not in (255, 65535):
        return f"gray values up to {others[0]}, which may be labels or shades"
    if ";16" in str(raw_mode) and not image.mode.startswith("I"):  # Pillow drops the lower byte, in which labels are
        return "several channels of 16 bits"
    return ""


def _palette_labels(palette: bytes, indices: np.ndarray, path: Path) -> tuple[np.ndarray, PaletteUse]:
    """The label of each palette entry, (256,) uint8, and whether the colors or the indices say so.

    palette: RGB, RGB, ... indices: (H, W) uint8. Raises DataError: some colors contradict the indices and others are not
    VOC's, so that neither can be trusted; or a palette whose indices are surely no labels.
    """
    by_index = np.arange(256, dtype=np.uint8)
    classes = palette[: 3 * NUM_SEG_CLASSES]  # void may have another color than VOC's
    if VOC_PALETTE.startswith(classes) or classes == BGR_CLASSES:
        return by_index, "index"
    used = np.flatnonzero(np.bincount(indices.ravel(), minlength=256)).tolist()
    _check_renumbered(palette, used, path)
    colors = _meaningful_entries(palette)
    labels = {index: LABEL_OF.get(colors[index]) if index in colors else None for index in used}
    right = {index for index in used if labels[index] == index}
    # A color that belongs to another label, unless that label is used with this color too: some palettes show void as black.
    contradictions = [index for index, label in labels.items() if label not in (None, index) and label not in right]
    if not contradictions:
        is_foreign = any(label is None and index in colors and 0 < index < IGNORE for index, label in labels.items())
        return by_index, "foreign" if is_foreign else "index"
    if unknown := [index for index, label in labels.items() if label is None]:
        index, other = contradictions[0], unknown[0]
        label = LABEL_OF[colors[index]]
        name = "the void border" if label == IGNORE else SEG_CLASSES[label]
        raise DataError(
            f"{path}: palette entry {index} has VOC's color of {name}, and entry {other}, "
            f"{colors.get(other, 'without a color')}, none of VOC's: the labels are unknown, {ADVICE}"
        )
    table = np.zeros(256, np.uint8)
    for index, label in labels.items():
        table[index] = label or 0  # none is None here
    return table, "color"


def _check_renumbered(palette: bytes, used: Sequence[int], path: Path) -> None:
    """Raise DataError for palettes that Pillow writes for images without one. used: the indices that occur."""
    if palette.startswith(WEB_PALETTE) and any(used):
        raise DataError(f"{path} has a palette for drawings, whose indices and rounded colors are not labels: {ADVICE}")
    grays = palette[::3]
    if len(set(grays)) < 2 or not grays == palette[1::3] == palette[2::3] or not set(grays) <= GRAY_LABELS:
        return
    for index in used:
        if index < len(grays) and grays[index] not in (0, index, IGNORE):
            raise DataError(
                f"{path}: palette entry {index} is gray {grays[index]}: which of the two is the label is unknown, {ADVICE}"
            )


def _meaningful_entries(palette: bytes) -> dict[int, Color]:
    """The entries whose color may say a label: none of a ramp of grays, and of the equal entries at the end the first.

    Tools fill a palette up to 256 entries with one color, and store label maps with a ramp or with a single color.
    """
    entries = [(palette[start], palette[start + 1], palette[start + 2]) for start in range(0, len(palette), 3)]
    if len(set(entries)) > 2 and all(red == green == blue for red, green, blue in entries):
        return {}  # VOC's colors have two grays only
    while len(entries) > 1 and entries[-1] == entries[-2]:
        entries.pop()
    return dict(enumerate(entries))


def _labels_of_colors(pixels: np.ndarray, path: Path) -> np.ndarray:
    """pixels: (H, W, 3 or 4) uint8. Returns (H, W) uint8. Raises DataError: a color that VOC does not have."""
    codes = (pixels[..., 0].astype(np.int32) << 16) | (pixels[..., 1].astype(np.int32) << 8) | pixels[..., 2]
    known = sorted((red << 16 | green << 8 | blue, label) for (red, green, blue), label in LABEL_OF.items())
    known_codes = np.array([code for code, _ in known], np.int32)
    positions = np.searchsorted(known_codes, codes).clip(max=len(known) - 1)
    labels: np.ndarray = np.array([label for _, label in known], np.uint8)[positions]
    wrong = known_codes[positions] != codes
    if pixels.shape[2] == 4:
        wrong |= (pixels[..., 3] == 0) & (labels != 0)  # an invisible object
    if wrong.any():
        y, x = np.argwhere(wrong)[0].tolist()
        color = tuple(pixels[y, x].tolist())
        kind = "RGB" if pixels.shape[2] == 3 else "RGBA"
        advice = _advice_on_colors(pixels[..., :3])
        raise DataError(f"{path} is an {kind} mask with color {color} at x {x}, y {y}, none of VOC's: {advice}")
    return labels


def _advice_on_colors(pixels: np.ndarray) -> str:
    """What to do about a mask whose colors are not all VOC's. pixels: (H, W, 3) uint8."""
    if (pixels == pixels[..., :1]).all():
        return "its channels are equal, so save one of them alone if its values are labels"
    colors = {tuple(color) for color in np.unique(pixels.reshape(-1, 3), axis=0).tolist()}
    if all(color[::-1] in LABEL_OF for color in colors):
        return "with red and blue exchanged all colors are VOC's, so save it with its channels in the order RGB"
    return ADVICE
