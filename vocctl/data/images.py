"""Read and write one image or one mask, with limits and checks. Every file that holds pixels is read here.

Images are (H, W, 3) uint8 RGB, as a viewer shows them: turned by their EXIF orientation, transparent pixels on white, 16-bit
gray scaled to 8 bits. Masks are (H, W) uint8 label maps with 0..20 and IGNORE (mask_labels.py).
"""

import io
import logging
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError

import numpy as np
import psutil
from PIL import ExifTags, Image, UnidentifiedImageError

from vocctl.data.file_index import RAW_ENDINGS
from vocctl.data.mask_labels import ADVICE, PaletteUse, mask_labels
from vocctl.errors import DataError, VocctlError
from vocctl.files import atomic_file, check_regular_file
from vocctl.labels import FLAT_PALETTE, IGNORE, NUM_SEG_CLASSES

READER_VERSION = 2  # raise it when a file is read as other pixels or labels than before: caches contain it
MAX_PIXELS = 200_000_000  # of an image; checked before it is decoded. Phones have up to 200 megapixels
BYTES_PER_PIXEL = 16  # that decoding takes: Pillow's 4 per copy, up to three copies, and 3 of the result
ALWAYS_DECODED = 16_000_000  # pixels; the free memory is looked up for larger images only
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")  # Pillow decodes these itself
LOSSY_FORMATS = ("JPEG", "MPO", "WEBP", "JPEG2000", "AVIF")  # they may change labels
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # bytes 8..11, after "ftyp"
CONVERSION = "save it as JPEG or PNG, as `magick FILE FILE.jpg` of ImageMagick does"
MISSING = "is missing: `vocctl download --check` lists all missing files"
TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # EXIF orientation -> what turns the stored image upright; 1 is upright
SIDEWAYS = (5, 6, 7, 8)  # the orientations that exchange width and height
_pillow_limit = threading.Lock()
logger = logging.getLogger(__name__)


@contextmanager
def _raised_limit() -> Iterator[None]:
    """Let Pillow open and decode images up to MAX_PIXELS; its own limit is lower, and global."""
    with _pillow_limit, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MAX_PIXELS  # an error at twice as many
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _open(path: Path) -> Image.Image:
    """Open an image of FORMATS. Pillow chooses by the first bytes, and starts other programs for formats like PostScript."""
    try:
        check_regular_file(path)
        with _raised_limit():
            image = Image.open(path, formats=FORMATS)
    except FileNotFoundError as error:
        raise DataError(f"{path} {MISSING}") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path} declares too many pixels, the limit is {MAX_PIXELS} pixels: shrink it") from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins raise exceptions of any type
        if isinstance(error, UnidentifiedImageError) and (kind := _unread_kind(path)):
            raise DataError(f"{path} is a {kind}, which is not read: {CONVERSION}") from error
        raise DataError(f"{path} is not a readable image: replace it ({_one_line(error)})") from error
    problem = ""
    if image.format == "TIFF" and path.suffix.lower() in RAW_ENDINGS:  # Pillow would read the preview in it
        problem = f"is a camera's raw image, which is not read: {CONVERSION}"
    elif too_large := _memory_problem(image.width, image.height):
        problem = f"{too_large}: shrink it"
    if problem:
        image.close()
        raise DataError(f"{path} {problem}")
    return image


def _memory_problem(width: int, height: int) -> str | None:
    """Why an image of this size is not decoded; None if it is."""
    pixels = width * height
    size = f"declares {width} x {height} pixels"
    if pixels > MAX_PIXELS:
        return f"{size}, the limit is {MAX_PIXELS} pixels"
    if pixels <= ALWAYS_DECODED:
        return None
    needed, free = pixels * BYTES_PER_PIXEL, psutil.virtual_memory().available
    return f"{size} and needs {needed >> 20:,} MB of memory, {free >> 20:,} are free" if free < needed else None


def _unread_kind(path: Path) -> str:
    """The kind of an image that Pillow does not identify, for a message; empty: it may not be an image."""
    with path.open("rb") as stream:
        start = stream.read(12)
    if start[4:8] == b"ftyp" and start[8:12] in HEIC_BRANDS:
        return "HEIC image"
    if start.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "JPEG XL image"
    return "camera's raw image" if start and path.suffix.lower() in RAW_ENDINGS else ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    """Convert every exception of Pillow's plugins into DataError."""
    try:
        with _raised_limit():
            yield
    except (VocctlError, MemoryError):
        raise
    except Exception as error:
        raise DataError(f"{path} cannot be decoded: replace it ({_one_line(error)})") from error


def read_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB of an image in any mode, upright; the first of several frames. Raises DataError."""
    with _open(path) as image, _decoding(path):
        orientation = _orientation(image)
        if orientation in TRANSPOSES and image.format != "TIFF":  # Pillow turns a TIFF itself
            return _rgb(image.transpose(TRANSPOSES[orientation]), path)
        return _rgb(image, path)


def _rgb(image: Image.Image, path: Path) -> np.ndarray:
    """(H, W, 3) uint8."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _from_16_bit_gray(image, path)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))
    return np.asarray(image.convert("RGB"))


def _from_16_bit_gray(image: Image.Image, path: Path) -> np.ndarray:
    values = np.asarray(image)
    has_no_range = values.dtype.kind == "f" or (image.format == "TIFF" and image.mode == "I")  # 32 bits
    if has_no_range or values.min() < 0 or values.max() > 65535:
        raise DataError(f"{path} has pixels that are not 8- or 16-bit: save it as an 8-bit image")
    gray = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)  # rounded: 65535 becomes 255
    if isinstance(transparent := image.info.get("transparency"), int):
        gray[values == transparent] = 255
    return np.repeat(gray[:, :, None], 3, axis=2)


def largest_16_bit_value(path: Path) -> int | None:
    """Of a 16-bit gray image; None for other files."""
    try:
        with _open(path) as image, _decoding(path):
            return int(np.asarray(image).max()) if image.mode.startswith("I") else None
    except DataError:
        return None


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8, of an image that is not loaded yet; 1 if its EXIF data are damaged."""
    try:
        # PNG's own getexif decodes the image, to look for EXIF data behind the pixels, where the format does not allow them.
        orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation)
    except MemoryError:
        raise
    except Exception:  # Pillow's parser raises exceptions of any type; other viewers, too, show the stored pixels then
        return 1
    return orientation if isinstance(orientation, int) and orientation in TRANSPOSES else 1


def image_orientation(path: Path) -> int:
    """The EXIF orientation that the file declares, 1 to 8; 1 for a file that is not a readable image."""
    try:
        with _open(path) as image:
            return _orientation(image)
    except DataError:
        return 1


def image_size(path: Path) -> tuple[int, int]:
    """(H, W) of what read_image returns; the file is not decoded. Raises DataError."""
    with _open(path) as image:
        turned = image.format != "TIFF" and _orientation(image) in SIDEWAYS
        return (image.width, image.height) if turned else (image.height, image.width)


def read_mask(path: Path) -> np.ndarray:
    """(H, W) uint8 labels. Raises DataError: not a mask, cannot be decoded, or a label that VOC does not have."""
    labels, use = _decode_mask(path)
    if use == "color":
        _warn_of_colors(path.parent, path.name)
    return labels


def palette_use(path: Path) -> PaletteUse:
    """How a mask's palette is used to read it; "index" for a file that is not a mask."""
    try:
        return _decode_mask(path)[1]
    except DataError:
        return "index"


def _decode_mask(path: Path) -> tuple[np.ndarray, PaletteUse]:
    with _open(path) as image, _decoding(path):
        if image.format in LOSSY_FORMATS:
            raise DataError(f"{path} is a {image.format} file, whose compression changes labels: {ADVICE}")
        if (orientation := _orientation(image)) != 1:
            raise DataError(f"{path} has EXIF orientation {orientation}: save the mask upright, without EXIF data")
        labels, use = mask_labels(image, path)
    return check_labels(labels, path).astype(np.uint8, copy=False), use


_folders_with_a_warning: set[Path] = set()


def _warn_of_colors(folder: Path, name: str) -> None:
    """Once per folder and process."""
    if folder not in _folders_with_a_warning:
        _folders_with_a_warning.add(folder)
        logger.warning(
            "%s: masks are read by color where palette and indices contradict each other, the first is %s; "
            "`vocctl download --check` lists them",
            folder, name,
        )  # fmt: skip


def fit_mask(mask: np.ndarray, image_path: Path) -> np.ndarray:
    """Return the mask in the orientation of read_image(image_path).

    If the image's EXIF orientation exchanges width and height, and the mask has the size of the stored pixels, the mask is
    turned as read_image turns the image. Where both sizes are equal (square images, and orientations that only mirror the
    image or turn it by 180 degrees), the size does not show how the mask was drawn: it is returned as it is.
    """
    orientation = image_orientation(image_path)
    if orientation not in SIDEWAYS or mask.shape[0] == mask.shape[1] or mask.shape[::-1] != image_size(image_path):
        return mask
    return np.asarray(Image.fromarray(mask).transpose(TRANSPOSES[orientation]))


def size_mismatch(mask: np.ndarray, image_shape: tuple[int, ...], image_path: Path) -> str:
    """What is wrong with a mask that does not have the size (H, W) of its image."""
    orientation = image_orientation(image_path)
    turned = f" after its EXIF orientation {orientation}" if orientation != 1 else ""
    sizes = f"{mask.shape[1]} x {mask.shape[0]} pixels, its image {image_shape[1]} x {image_shape[0]}{turned}"
    return f"is {sizes}: a mask must have the size of its image, replace the mask"


def check_labels(mask: np.ndarray, path: Path) -> np.ndarray:
    """Return mask. Raises DataError if it has a label outside 0..20 and IGNORE. path: for the message."""
    invalid = ((mask >= NUM_SEG_CLASSES) & (mask != IGNORE)) | (mask < 0)
    if invalid.any():
        values, counts = np.unique(mask[invalid], return_counts=True)
        label = values[counts.argmax()]
        raise DataError(f"{path} has label {label}: masks have labels 0..20 and 255 (border), fix it")
    return mask


def read_label_array(path: Path) -> np.ndarray:
    """(H, W) uint8 labels of a .npy file with integers of any size. Raises DataError as read_array and check_labels."""
    return check_labels(read_array(path, dims=2, kinds="ui"), path).astype(np.uint8, copy=False)


def read_array(path: Path, dims: int, kinds: str = "") -> np.ndarray:
    """A uint8 .npy file: (H, W, 3) for dims 3, (H, W) for dims 2. It is never unpickled. Raises DataError.

    kinds: of numpy's dtypes that are read beside uint8.
    """
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
    is_read = array.dtype == np.uint8 or array.dtype.kind in kinds
    if not is_read or array.ndim != dims or (dims == 3 and array.shape[2] != 3) or array.size == 0:
        sides = "(height, width, 3)" if dims == 3 else "(height, width)"
        expected = f"expected a uint8 array of {dims} dimensions, {sides}"
        raise DataError(f"{path} is {array.dtype} of shape {array.shape}: {expected}")
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise DataError(f"{path} has shape {array.shape}, the limit is {MAX_PIXELS} pixels: shrink it")
    return np.array(array)


def mask_png(mask: np.ndarray) -> bytes:
    """A mode-P PNG with VOC's palette of 256 colors. mask: (H, W) uint8."""
    image = Image.fromarray(mask.astype(np.uint8))  # mode L; putpalette makes it P
    image.putpalette(FLAT_PALETTE)
    png = io.BytesIO()
    # Z_RLE gives smaller files than the default, in a third of its time
    image.save(png, format="PNG", compress_level=1, compress_type=zlib.Z_RLE)
    return png.getvalue()


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write mask_png(mask) atomically. Raises RunError as atomic_file does."""
    with atomic_file(path) as part:
        part.write_bytes(mask_png(mask))
