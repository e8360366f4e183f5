"""Reading and writing one image or mask: the result, and errors that name the file."""

from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from vocctl.data import images
from vocctl.data.images import (
    check_labels,
    fit_mask,
    image_orientation,
    image_size,
    read_array,
    read_image,
    read_mask,
    write_mask,
)
from vocctl.errors import DataError, RunError
from vocctl.labels import FLAT_PALETTE

LABELS = np.array([[0, 1, 20], [15, 255, 7]], np.uint8)


def message_of(read, path: Path, *args, **kwargs) -> str:
    with pytest.raises(DataError) as caught:
        read(path, *args, **kwargs)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK"])
def test_image_of_any_mode_is_read_as_rgb(tmp_path, mode):
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    Image.new("RGB", (4, 3), (200, 200, 200)).convert(mode).save(path)
    image = read_image(path)
    assert (image.shape, image.dtype) == ((3, 4, 3), np.uint8)
    assert np.abs(image.astype(int) - 200).max() <= 8


def test_unreadable_images(tmp_path):
    assert "is missing" in message_of(read_image, tmp_path / "none.jpg")
    corrupt = tmp_path / "corrupt.jpg"
    corrupt.write_bytes(b"no image")
    assert "is not a readable image" in message_of(read_image, corrupt)
    corrupt.write_bytes(b"")
    assert "is not a readable image" in message_of(read_image, corrupt)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(corrupt)
    corrupt.write_bytes(corrupt.read_bytes()[:-500])
    assert "cannot be decoded" in message_of(read_image, corrupt)
    assert "is not a readable image" in message_of(read_image, tmp_path)


@pytest.mark.parametrize("read", [read_image, read_mask])
def test_postscript_is_not_executed(tmp_path, read):
    path = tmp_path / "image.jpg"
    Image.new("RGB", (8, 8)).save(path, "EPS")
    with Image.open(path) as image:
        assert image.format == "EPS"  # what Pillow takes it for
    assert "is not a readable image" in message_of(read, path)


def test_too_large_image_is_not_decoded(tmp_path, monkeypatch):
    path = tmp_path / "large.png"
    Image.new("RGB", (8, 4)).save(path)
    monkeypatch.setattr(images, "MAX_PIXELS", 31)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    assert "declares 8 x 4 pixels, the limit is 31" in message_of(read_image, path)


def test_mask_round_trip(tmp_path):
    path = tmp_path / "mask.png"
    write_mask(path, LABELS)
    assert np.array_equal(read_mask(path), LABELS)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert image.getpalette() == FLAT_PALETTE
    assert [file.name for file in tmp_path.iterdir()] == ["mask.png"]


def test_palette_mask_is_read_by_index(tmp_path):
    image = Image.fromarray(LABELS)
    image.putpalette([9, 9, 9] * 256)  # all colors are the same
    image.save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png"), LABELS)


def test_gray_mask(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png"), LABELS)


def test_unreadable_masks(tmp_path):
    path = tmp_path / "mask.png"
    assert "is missing" in message_of(read_mask, path)
    for label in (21, 254):
        write_mask(path, np.array([[0, label]]))
        assert f"has label {label}" in message_of(read_mask, path)
    write_mask(path, np.random.default_rng(0).integers(0, 20, (64, 64)))
    path.write_bytes(path.read_bytes()[:-400])
    assert "cannot be decoded" in message_of(read_mask, path)


def test_check_labels_returns_the_mask():
    assert check_labels(LABELS, Path("m")) is LABELS


def test_array_round_trip(tmp_path):
    path = tmp_path / "a.npy"
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.save(path, image)
    read = read_array(path, dims=3)
    assert np.array_equal(read, image)
    assert not isinstance(read, np.memmap)  # the file may be deleted
    np.save(path, np.asfortranarray(image))
    assert np.array_equal(read_array(path, dims=3), image)


@pytest.mark.parametrize(
    ("array", "dims", "message"),
    [
        (np.zeros((2, 3, 3), np.float32), 3, "is float32 of shape (2, 3, 3)"),
        (np.zeros((2, 3), np.uint8), 3, "expected a uint8 array of 3 dimensions"),
        (np.zeros((2, 3, 4), np.uint8), 3, "shape (2, 3, 4)"),
        (np.zeros((2, 3, 3), np.uint8), 2, "expected a uint8 array of 2 dimensions"),
        (np.zeros((0, 3), np.uint8), 2, "shape (0, 3)"),
        (np.array([{}, {}], dtype=object), 2, "is not a plain .npy array"),
    ],
)
def test_array_of_another_type_or_shape(tmp_path, array, dims, message):
    path = tmp_path / "a.npy"
    np.save(path, array)
    assert message in message_of(read_array, path, dims=dims)


def test_unreadable_arrays(tmp_path, monkeypatch):
    path = tmp_path / "a.npy"
    assert "is missing" in message_of(read_array, path, dims=2)
    for content in (
        b"",
        b"PK\x03\x04zip",
        b"\x80\x04pickle",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\x10\x00{'descr': '|u1', ",
    ):
        path.write_bytes(content)
        assert "npy" in message_of(read_array, path, dims=2)
    np.save(path, np.zeros((40, 40), np.uint8))
    path.write_bytes(path.read_bytes()[:-1])
    assert "is not a plain .npy array" in message_of(read_array, path, dims=2)
    np.save(path, np.zeros((4, 8), np.uint8))
    monkeypatch.setattr(images, "MAX_PIXELS", 31)
    assert "the limit is 31 pixels" in message_of(read_array, path, dims=2)


def test_any_exception_of_pillow_names_the_file(tmp_path, monkeypatch):
    path = tmp_path / "image.jpg"
    Image.new("RGB", (8, 4)).save(path, dpi=(72, 72), exif=b"Exif\0\0MM\0*\0\0")  # truncated: a struct.error
    assert read_image(path).shape == (4, 8, 3)

    def corrupt(*_):
        raise RuntimeError("a plugin's error")

    Image.new("RGB", (8, 4)).save(path)
    monkeypatch.setattr(Image.Image, "convert", corrupt)
    assert "cannot be decoded: replace it (a plugin's error)" in message_of(read_image, path)
    monkeypatch.setattr(Image, "open", corrupt)
    for read in (read_image, read_mask):
        assert "is not a readable image" in message_of(read, path)


def test_memory_error_is_not_converted(tmp_path, monkeypatch):
    def full(*_):
        raise MemoryError

    Image.new("RGB", (8, 4)).save(tmp_path / "image.png")
    monkeypatch.setattr(Image.Image, "convert", full)
    with pytest.raises(MemoryError):
        read_image(tmp_path / "image.png")


RED = (200, 30, 40)


def clear_palette() -> Image.Image:
    image = Image.new("RGB", (4, 2), RED).quantize(4)
    image.info["transparency"] = 0
    return image


KINDS = {
    "gray.png": lambda: (Image.new("L", (4, 2), 90), (90, 90, 90)),
    "bilevel.png": lambda: (Image.new("1", (4, 2), 1), (255, 255, 255)),
    "palette.gif": lambda: (Image.new("RGB", (4, 2), RED).quantize(4), RED),
    "clear.png": lambda: (Image.new("RGBA", (4, 2), (*RED, 0)), (255, 255, 255)),
    "half.webp": lambda: (Image.new("RGBA", (4, 2), (0, 0, 0, 127)), (128, 128, 128)),
    "gray-clear.png": lambda: (Image.new("LA", (4, 2), (90, 0)), (255, 255, 255)),
    "cmyk.jpg": lambda: (Image.new("CMYK", (16, 8), (0, 255, 255, 0)), (254, 0, 0)),
    "clear-color.png": lambda: (Image.new("RGBA", (4, 2), (9, 9, 9, 0)), (255, 255, 255)),
    "clear-palette.png": lambda: (clear_palette(), (255, 255, 255)),
    "dark.png": lambda: (Image.fromarray(np.full((2, 4), 0x4000, np.uint16)), (64, 64, 64)),
    "sixteen.pgm": lambda: (Image.fromarray(np.full((2, 4), 0x4000, np.uint16)), (64, 64, 64)),
    "sixteen.png": lambda: (Image.fromarray(np.full((2, 4), 32896, np.uint16)), (128, 128, 128)),
    "sixteen.tif": lambda: (Image.fromarray(np.full((2, 4), 65535, np.uint16)), (255, 255, 255)),
}


@pytest.mark.parametrize("name", KINDS)
def test_colors_of_every_mode(tmp_path, name):
    image, color = KINDS[name]()
    image.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    read = read_image(tmp_path / name)
    assert (read.dtype, read.shape) == (np.uint8, (image.height, image.width, 3))
    assert np.abs(read.astype(int) - color).max() <= 2


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_image_is_read_upright(tmp_path, orientation, ending):
    path = tmp_path / f"a.{ending}"
    pixels = np.arange(0, 240, 10, dtype=np.uint8).reshape(2, 4, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).resize((32, 16), 0).save(path, exif=exif)
    read = read_image(path)
    assert image_size(path) == read.shape[:2] == ((32, 16) if orientation > 4 else (16, 32))
    assert image_orientation(path) == orientation
    # By EXIF: 3 is turned by 180 degrees, 6 has to be turned clockwise, 8 counterclockwise; the rest are mirror images.
    upright = {
        1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1], 5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, -1), 7: pixels[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(pixels),
    }[orientation]  # fmt: skip
    if ending in ("png", "tif"):
        assert np.array_equal(read[4::8, 4::8], upright)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_mask_is_turned_with_its_image_where_the_size_tells(tmp_path, orientation):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.zeros((16, 32), np.uint8)
    stored[:8, :8] = 15
    Image.fromarray(np.repeat(stored[..., None], 3, 2) * 17).save(path, exif=exif)
    upright = (read_image(path)[..., 0] > 128) * np.uint8(15)
    assert np.array_equal(fit_mask(upright, path), upright)
    assert np.array_equal(fit_mask(stored, path), upright if orientation > 4 else stored)


def test_mask_is_not_turned_without_its_image(tmp_path):
    assert fit_mask(LABELS, tmp_path / "missing.jpg") is LABELS


def test_mask_with_exif_orientation_is_refused(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(LABELS).save(tmp_path / "mask.png", exif=exif)
    assert "has EXIF orientation 6: save the mask upright" in message_of(read_mask, tmp_path / "mask.png")


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_heic_is_named_whatever_its_ending(tmp_path, brand):
    (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(100))
    assert "is a HEIC image, which is not read: save it as JPEG or PNG" in message_of(read_image, tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.jxl", b"\xff\x0a", "JPEG XL"),
        ("a.jxl", b"\0\0\0\x0cJXL ", "JPEG XL"),
        ("a.CR3", b"\0\0\0\x18ftypcrx ", "camera's raw"),
    ],
)
def test_error_names_the_kind_of_an_unsupported_image(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content + bytes(100))
    assert f"is a {kind} image, which is not read: save it as JPEG or PNG" in message_of(read_image, tmp_path / name)


def test_preview_in_a_raw_image_is_not_read(tmp_path):
    Image.new("RGB", (8, 4)).save(tmp_path / "a.dng", "TIFF")  # as such a file begins
    assert "is a camera's raw image, which is not read" in message_of(read_image, tmp_path / "a.dng")


def test_large_image_needs_free_memory(tmp_path, monkeypatch):
    path = tmp_path / "large.png"
    Image.new("1", (9248, 6936)).save(path)  # 64.1 megapixels, as phones make them
    assert read_image(path).shape == (6936, 9248, 3)
    memory = psutil.virtual_memory()._replace(available=900 << 20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    assert "9248 x 6936 pixels and needs 978 MB of memory, 900 are free: shrink it" in message_of(read_image, path)
    with Image.open(path) as image:  # Pillow's own limit is as before
        assert image.size == (9248, 6936)
    assert Image.MAX_IMAGE_PIXELS == 89478485


def test_images_without_8_or_16_bits(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    assert "is not a readable image" in message_of(read_image, tmp_path / "a.jpg")
    Image.fromarray(np.full((2, 4), 0.5, np.float32)).save(tmp_path / "a.tif")
    assert "pixels that are not 8- or 16-bit" in message_of(read_image, tmp_path / "a.tif")
    Image.fromarray(np.full((2, 4), 200, np.int32)).save(tmp_path / "a.tif")
    assert "pixels that are not 8- or 16-bit" in message_of(read_image, tmp_path / "a.tif")
    Image.new("RGB", (64, 64), RED).save(tmp_path / "b.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:300])
    assert "b.jpg" in message_of(read_image, tmp_path / "b.jpg")


@pytest.mark.parametrize("side", [15_000, 21_000])  # above ours; above twice ours, where Pillow raises an error
@pytest.mark.filterwarnings("error")
def test_limit_of_pillow_is_not_changed(tmp_path, side):
    Image.new("1", (side, side)).save(tmp_path / "bomb.png")
    before = Image.MAX_IMAGE_PIXELS
    message = message_of(read_image, tmp_path / "bomb.png")
    assert "declares" in message
    assert "the limit is 200000000 pixels" in message
    assert before == Image.MAX_IMAGE_PIXELS


def test_unwritable_mask_leaves_no_file(tmp_path):
    (tmp_path / "mask.png").mkdir()
    (tmp_path / "mask.png" / "a").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        write_mask(tmp_path / "mask.png", LABELS)
    assert [path.name for path in tmp_path.iterdir()] == ["mask.png"]
