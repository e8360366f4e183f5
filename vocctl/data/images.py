"""Reading one image or one mask from a file, bounded and checked.

Images come as (H, W, 3) uint8 RGB. Masks come as (H, W) uint8 label maps: 0..20 and IGNORE, nothing else. VOC's masks are
palette PNGs (mode P): the stored index is the label, so they are never converted to gray.
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
from vocctl.files import check_regular_file
from vocctl.labels import FLAT_PALETTE, IGNORE, NUM_SEG_CLASSES

MAX_PIXELS = 64_000_000  # a file that declares more is refused before anything is decoded
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")  # decoded by Pillow itself

Image.MAX_IMAGE_PIXELS = None  # our own bound is checked first, with our own message


def _open(path: Path) -> Image.Image:
    """Of FORMATS alone: Pillow goes by a file's first bytes, and starts another program for some, such as PostScript."""
    try:
        check_regular_file(path)
        image = Image.open(path, formats=FORMATS)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing: `vocctl download --check` lists all that is") from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins raise whatever they like
        raise DataError(f"{path} is not an image that can be read: replace it ({_line(error)})") from error
    if image.width * image.height > MAX_PIXELS:
        raise DataError(f"{path} declares {image.width} x {image.height} pixels, the limit is {MAX_PIXELS}: shrink it")
    return image


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Turns all that Pillow raises on the way into DataError; its plugins raise whatever they like."""
    try:
        yield
    except (VocctlError, MemoryError):
        raise
    except Exception as error:
        raise DataError(f"{path} does not decode: replace it ({_line(error)})") from error


def read_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB as stored (an EXIF turn would part it from its mask). Raises DataError naming the file."""
    with _open(path) as image, _decoding(path):
        return np.asarray(image.convert("RGB"))


def read_any_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB, turned as its EXIF says: of any mode.

    16-bit gray is scaled to 8 bits; what is transparent lies on white; of several frames the first is read. Raises DataError
    naming the file.
    """
    with _open(path) as image, _decoding(path):
        turned = ImageOps.exif_transpose(image)
        if turned.mode == "F" or turned.mode.startswith("I"):
            return _from_deep_gray(np.asarray(turned), path)
        if turned.has_transparency_data:
            seen = turned.convert("RGBA")
            white = Image.new("RGBA", seen.size, "white")
            return np.asarray(Image.alpha_composite(white, seen).convert("RGB"))
        return np.asarray(turned.convert("RGB"))


def _from_deep_gray(values: np.ndarray, path: Path) -> np.ndarray:
    """Whole numbers up to 65535 span 16 bits."""
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise DataError(f"{path} holds numbers that are no 8- or 16-bit pixels: save it as an 8-bit image")
    gray = np.round(values.astype(np.float64) / 257).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)


def read_mask(path: Path) -> np.ndarray:
    """(H, W) uint8 labels. Raises DataError: not mode P or L, does not decode, a label that VOC lacks."""
    with _open(path) as image:
        if image.mode not in ("P", "L"):
            raise DataError(
                f"{path} is a {image.mode} mask: label masks are mode P (palette) or L PNGs, save it as one"
            )
        with _decoding(path):
            mask = np.asarray(image)
    return checked_labels(mask, path)


def checked_labels(mask: np.ndarray, path: Path) -> np.ndarray:
    """mask itself. Raises DataError where it holds a label outside 0..20 and 255."""
    strange = (mask >= NUM_SEG_CLASSES) & (mask != IGNORE)
    if strange.any():
        commonest = np.bincount(mask[strange]).argmax()
        raise DataError(f"{path} holds label {commonest}: masks hold 0..20 and 255 (border), mend it")
    return mask


def read_array(path: Path, dims: int) -> np.ndarray:
    """A uint8 .npy file of so many dimensions, never unpickled. Raises DataError."""
    try:
        check_regular_file(path)
        with path.open("rb") as stream:
            if stream.read(6) != b"\x93NUMPY":  # np.load would open a zip or unpickle by what it finds
                raise DataError(f"{path} is not a .npy file: replace it")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing: `vocctl download --check` lists all that is") from error
    except (OSError, ValueError, EOFError, SyntaxError, TokenError) as error:
        raise DataError(f"{path} is not a plain .npy array: replace it ({_line(error)})") from error
    if array.dtype != np.uint8 or array.ndim != dims or (dims == 3 and array.shape[2] != 3) or array.size == 0:
        raise DataError(f"{path} is {array.dtype} of shape {array.shape}: a uint8 array of {dims} dimensions is due")
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise DataError(f"{path} has shape {array.shape}, the limit is {MAX_PIXELS} pixels: shrink it")
    return np.array(array)


def mask_png(mask: np.ndarray) -> bytes:
    """A mode-P PNG with VOC's palette of 256 entries. mask: (H, W) uint8."""
    image = Image.fromarray(mask.astype(np.uint8))  # mode L, and P once it has a palette
    image.putpalette(FLAT_PALETTE)
    held = io.BytesIO()
    image.save(held, format="PNG", compress_level=1, compress_type=zlib.Z_RLE)  # smaller than the default, in a third
    return held.getvalue()


def write_mask(path: Path, mask: np.ndarray) -> None:
    """mask_png, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(mask_png(mask))
    part.replace(path)
