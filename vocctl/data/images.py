"""Read and write one image or one mask, with limits and checks.

Images are (H, W, 3) uint8 RGB. Masks are (H, W) uint8 label maps with 0..20 and IGNORE. VOC's masks are palette PNGs (mode
P): the stored index is the label, so they are never converted to gray.
"""

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError

import numpy as np
from PIL import Image, ImageOps

from vocctl.errors import DataError, VocctlError
from vocctl.files import atomic_file, check_regular_file
from vocctl.labels import FLAT_PALETTE, IGNORE, NUM_SEG_CLASSES

MAX_PIXELS = 64_000_000  # of an image; checked before it is decoded. Pillow's own limit is higher
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")  # Pillow decodes these itself
MISSING = "is missing: `vocctl download --check` lists all missing files"


def _open(path: Path) -> Image.Image:
    """Open an image of FORMATS. Pillow chooses by the first bytes, and starts other programs for formats like PostScript."""
    too_large = f"the limit is {MAX_PIXELS} pixels: shrink it"
    try:
        check_regular_file(path)
        image = Image.open(path, formats=FORMATS)
    except FileNotFoundError as error:
        raise DataError(f"{path} {MISSING}") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} declares too many pixels, {too_large}") from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins raise exceptions of any type
        raise DataError(f"{path} is not a readable image: replace it ({_one_line(error)})") from error
    if image.width * image.height > MAX_PIXELS:
        raise DataError(f"{path} declares {image.width} x {image.height} pixels, {too_large}")
    return image


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Convert every exception of Pillow's plugins into DataError."""
    try:
        yield
    except (VocctlError, MemoryError):
        raise
    except Exception as error:
        raise DataError(f"{path} cannot be decoded: replace it ({_one_line(error)})") from error


def read_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB as stored: its EXIF orientation is ignored, as masks have none. Raises DataError."""
    with _open(path) as image, _decoding(path):
        return np.asarray(image.convert("RGB"))


def image_size(path: Path) -> tuple[int, int]:
    """(H, W) that the file declares; it is not decoded. Raises DataError."""
    with _open(path) as image:
        return image.height, image.width


def read_any_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB of an image in any mode, rotated to its EXIF orientation. Raises DataError.

    16-bit gray is scaled to 8 bits, transparent pixels are put on white, and of several frames the first is read.
    """
    with _open(path) as image, _decoding(path):
        upright = ImageOps.exif_transpose(image)
        if upright.mode == "F" or upright.mode.startswith("I"):
            return _from_16_bit_gray(np.asarray(upright), path)
        if upright.has_transparency_data:
            rgba = upright.convert("RGBA")
            white = Image.new("RGBA", rgba.size, "white")
            return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))
        return np.asarray(upright.convert("RGB"))


def _from_16_bit_gray(values: np.ndarray, path: Path) -> np.ndarray:
    """values: (H, W) integers in [0, 65535]."""
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise DataError(f"{path} has pixels that are not 8- or 16-bit: save it as an 8-bit image")
    gray = np.round(values.astype(np.float64) / 257).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)


def read_mask(path: Path) -> np.ndarray:
    """(H, W) uint8 labels. Raises DataError: not mode P or L, cannot be decoded, or a label that VOC does not have."""
    with _open(path) as image:
        if image.mode not in ("P", "L"):
            raise DataError(
                f"{path} is a {image.mode} mask: label masks are mode P (palette) or L PNGs, save it as one"
            )
        with _decoding(path):
            mask = np.asarray(image)
    return check_labels(mask, path)


def check_labels(mask: np.ndarray, path: Path) -> np.ndarray:
    """Return mask. Raises DataError if it has a label outside 0..20 and IGNORE. path: for the message."""
    invalid = (mask >= NUM_SEG_CLASSES) & (mask != IGNORE)
    if invalid.any():
        label = np.bincount(mask[invalid]).argmax()
        raise DataError(f"{path} has label {label}: masks have labels 0..20 and 255 (border), fix it")
    return mask


def read_array(path: Path, dims: int) -> np.ndarray:
    """A uint8 .npy file: (H, W, 3) for dims 3, (H, W) for dims 2. It is never unpickled. Raises DataError."""
    try:
        check_regular_file(path)
        with path.open("rb") as stream:
            if stream.read(6) != b"\x93NUMPY":  # np.load would open a zip archive or a pickle as well
                raise DataError(f"{path} is not a .npy file: replace it")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"{path} {MISSING}") from error
    except (OSError, ValueError, EOFError, SyntaxError, TokenError) as error:
        raise DataError(f"{path} is not a plain .npy array: replace it ({_one_line(error)})") from error
    if array.dtype != np.uint8 or array.ndim != dims or (dims == 3 and array.shape[2] != 3) or array.size == 0:
        expected = f"expected a uint8 array of {dims} dimensions"
        raise DataError(f"{path} is {array.dtype} of shape {array.shape}: {expected}")
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise DataError(f"{path} has shape {array.shape}, the limit is {MAX_PIXELS} pixels: shrink it")
    return np.array(array)


def mask_png(mask: np.ndarray) -> bytes:
    """A mode-P PNG with VOC's palette of 256 colors. mask: (H, W) uint8."""
    image = Image.fromarray(mask.astype(np.uint8))  # mode L; putpalette makes it P
    image.putpalette(FLAT_PALETTE)
    png = io.BytesIO()
    image.save(
        png, format="PNG", compress_level=1, compress_type=zlib.Z_RLE
    )  # smaller than the default in a third of its time
    return png.getvalue()


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write mask_png(mask) atomically. Raises RunError as atomic_file does."""
    with atomic_file(path) as part:
        part.write_bytes(mask_png(mask))
