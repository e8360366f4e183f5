"""Reading and writing one image or mask: the result, and errors that name the file."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vocctl.data import images
from vocctl.data.images import check_labels, read_any_image, read_array, read_image, read_mask, write_mask
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


def test_exif_orientation_is_ignored(tmp_path):
    path = tmp_path / "rotated.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # a rotation by 90 degrees, which the mask does not have
    Image.new("RGB", (8, 4)).save(path, exif=exif)
    assert read_image(path).shape == (4, 8, 3)


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


@pytest.mark.parametrize("read", [read_image, read_any_image, read_mask])
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


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "1", "I;16"])
def test_mask_of_another_mode(tmp_path, mode):
    path = tmp_path / "mask.png"
    Image.new(mode, (4, 3)).save(path)
    assert f"is a {mode} mask" in message_of(read_mask, path)


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
    assert "cannot be decoded" in message_of(read_any_image, path)
    assert read_image(path).shape == (4, 8, 3)  # it does not read the EXIF data

    def corrupt(*_):
        raise RuntimeError("a plugin's error")

    Image.new("RGB", (8, 4)).save(path)
    monkeypatch.setattr(Image.Image, "convert", corrupt)
    for read in (read_image, read_any_image):
        assert "cannot be decoded: replace it (a plugin's error)" in message_of(read, path)
    monkeypatch.setattr(Image, "open", corrupt)
    for read in (read_image, read_any_image, read_mask):
        assert "is not a readable image" in message_of(read, path)


def test_memory_error_is_not_converted(tmp_path, monkeypatch):
    def full(*_):
        raise MemoryError

    Image.new("RGB", (8, 4)).save(tmp_path / "image.png")
    monkeypatch.setattr(Image.Image, "convert", full)
    for read in (read_image, read_any_image):
        with pytest.raises(MemoryError):
            read(tmp_path / "image.png")


RED = (200, 30, 40)
KINDS = {
    "gray.png": lambda: (Image.new("L", (4, 2), 90), (90, 90, 90)),
    "bilevel.png": lambda: (Image.new("1", (4, 2), 1), (255, 255, 255)),
    "palette.gif": lambda: (Image.new("RGB", (4, 2), RED).quantize(4), RED),
    "clear.png": lambda: (Image.new("RGBA", (4, 2), (*RED, 0)), (255, 255, 255)),
    "half.webp": lambda: (Image.new("RGBA", (4, 2), (0, 0, 0, 127)), (128, 128, 128)),
    "gray-clear.png": lambda: (Image.new("LA", (4, 2), (90, 0)), (255, 255, 255)),
    "cmyk.jpg": lambda: (Image.new("CMYK", (16, 8), (0, 255, 255, 0)), (254, 0, 0)),
    "sixteen.png": lambda: (Image.fromarray(np.full((2, 4), 32896, np.uint16)), (128, 128, 128)),
    "sixteen.tif": lambda: (Image.fromarray(np.full((2, 4), 65535, np.uint16)), (255, 255, 255)),
}


@pytest.mark.parametrize("name", KINDS)
def test_read_any_image_of_any_mode(tmp_path, name):
    image, color = KINDS[name]()
    image.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    read = read_any_image(tmp_path / name)
    assert (read.dtype, read.shape) == (np.uint8, (image.height, image.width, 3))
    assert np.abs(read.astype(int) - color).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_read_any_image_follows_exif(tmp_path, orientation):
    from PIL import ImageOps

    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    read = read_any_image(tmp_path / "a.png")
    assert read.shape == ((4, 2, 3) if orientation > 4 else (2, 4, 3))
    with Image.open(tmp_path / "a.png") as stored:
        assert np.array_equal(read, np.asarray(ImageOps.exif_transpose(stored)))
    assert {1: np.array_equal(read, pixels), 3: np.array_equal(read, pixels[::-1, ::-1])}.get(orientation, True)


def test_read_any_image_errors(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    assert "is not a readable image" in message_of(read_any_image, tmp_path / "a.jpg")
    Image.fromarray(np.full((2, 4), 0.5, np.float32)).save(tmp_path / "a.tif")
    assert "pixels that are not 8- or 16-bit" in message_of(read_any_image, tmp_path / "a.tif")
    Image.new("RGB", (64, 64), RED).save(tmp_path / "b.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:300])
    assert "b.jpg" in message_of(read_any_image, tmp_path / "b.jpg")


@pytest.mark.parametrize("side", [12_000, 20_000])  # above Pillow's limit for a warning, and for an error
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_limit_of_pillow_is_not_changed(tmp_path, side):
    assert Image.MAX_IMAGE_PIXELS is not None
    Image.new("1", (side, side)).save(tmp_path / "bomb.png")
    message = message_of(read_image, tmp_path / "bomb.png")
    assert "declares" in message
    assert "the limit is 64000000 pixels" in message


def test_unwritable_mask_leaves_no_file(tmp_path):
    (tmp_path / "mask.png").mkdir()
    (tmp_path / "mask.png" / "a").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        write_mask(tmp_path / "mask.png", LABELS)
    assert [path.name for path in tmp_path.iterdir()] == ["mask.png"]
