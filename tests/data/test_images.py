"""One image or mask from a file: what comes back, and each refusal naming the file."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vocctl.data import images
from vocctl.data.images import checked_labels, read_any_image, read_array, read_image, read_mask, write_mask
from vocctl.errors import DataError
from vocctl.labels import FLAT_PALETTE

LABELS = np.array([[0, 1, 20], [15, 255, 7]], np.uint8)


def refused(read, path: Path, *args, **kwargs) -> str:
    with pytest.raises(DataError) as caught:
        read(path, *args, **kwargs)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK"])
def test_a_image_comes_as_rgb_whatever_its_mode(tmp_path, mode):
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    Image.new("RGB", (4, 3), (200, 200, 200)).convert(mode).save(path)
    image = read_image(path)
    assert (image.shape, image.dtype) == ((3, 4, 3), np.uint8)
    assert np.abs(image.astype(int) - 200).max() <= 8


def test_a_image_is_not_turned(tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn, which its mask would not make
    Image.new("RGB", (8, 4)).save(path, exif=exif)
    assert read_image(path).shape == (4, 8, 3)


def test_images_that_are_refused(tmp_path):
    assert "is missing" in refused(read_image, tmp_path / "none.jpg")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    assert "is not an image" in refused(read_image, broken)
    broken.write_bytes(b"")
    assert "is not an image" in refused(read_image, broken)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(broken)
    broken.write_bytes(broken.read_bytes()[:-500])
    assert "does not decode" in refused(read_image, broken)
    assert "is not an image" in refused(read_image, tmp_path)


@pytest.mark.parametrize("read", [read_image, read_any_image, read_mask])
def test_postscript_in_a_image_is_not_run(tmp_path, read):
    path = tmp_path / "image.jpg"
    Image.new("RGB", (8, 8)).save(path, "EPS")
    with Image.open(path) as image:
        assert image.format == "EPS"  # what Pillow would make of it
    assert "is not an image" in refused(read, path)


def test_a_image_that_declares_too_much_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = tmp_path / "large.png"
    Image.new("RGB", (8, 4)).save(path)
    monkeypatch.setattr(images, "MAX_PIXELS", 31)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    assert "declares 8 x 4 pixels, the limit is 31" in refused(read_image, path)


def test_a_mask_there_and_back(tmp_path):
    path = tmp_path / "mask.png"
    write_mask(path, LABELS)
    assert np.array_equal(read_mask(path), LABELS)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert image.getpalette() == FLAT_PALETTE
    assert [file.name for file in tmp_path.iterdir()] == ["mask.png"]


def test_a_palette_mask_is_read_by_index_not_by_color(tmp_path):
    image = Image.fromarray(LABELS)
    image.putpalette([9, 9, 9] * 256)  # every color the same
    image.save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png"), LABELS)


def test_a_gray_mask_is_read_as_it_is(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png"), LABELS)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "1", "I;16"])
def test_a_mask_of_another_mode(tmp_path, mode):
    path = tmp_path / "mask.png"
    Image.new(mode, (4, 3)).save(path)
    assert f"is a {mode} mask" in refused(read_mask, path)


def test_masks_that_are_refused(tmp_path):
    path = tmp_path / "mask.png"
    assert "is missing" in refused(read_mask, path)
    for label in (21, 254):
        write_mask(path, np.array([[0, label]]))
        assert f"holds label {label}" in refused(read_mask, path)
    write_mask(path, np.random.default_rng(0).integers(0, 20, (64, 64)))
    path.write_bytes(path.read_bytes()[:-400])
    assert "does not decode" in refused(read_mask, path)


def test_checked_labels_hands_the_mask_back():
    assert checked_labels(LABELS, Path("m")) is LABELS


def test_an_array_there_and_back(tmp_path):
    path = tmp_path / "a.npy"
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.save(path, image)
    read = read_array(path, dims=3)
    assert np.array_equal(read, image)
    assert not isinstance(read, np.memmap)  # the file may go
    np.save(path, np.asfortranarray(image))
    assert np.array_equal(read_array(path, dims=3), image)


@pytest.mark.parametrize(
    ("array", "dims", "message"),
    [
        (np.zeros((2, 3, 3), np.float32), 3, "is float32 of shape (2, 3, 3)"),
        (np.zeros((2, 3), np.uint8), 3, "a uint8 array of 3 dimensions is due"),
        (np.zeros((2, 3, 4), np.uint8), 3, "shape (2, 3, 4)"),
        (np.zeros((2, 3, 3), np.uint8), 2, "a uint8 array of 2 dimensions is due"),
        (np.zeros((0, 3), np.uint8), 2, "shape (0, 3)"),
        (np.array([{}, {}], dtype=object), 2, "is not a plain .npy array"),
    ],
)
def test_arrays_of_another_kind(tmp_path, array, dims, message):
    path = tmp_path / "a.npy"
    np.save(path, array)
    assert message in refused(read_array, path, dims=dims)


def test_arrays_that_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.npy"
    assert "is missing" in refused(read_array, path, dims=2)
    for content in (
        b"",
        b"PK\x03\x04zip",
        b"\x80\x04pickle",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\x10\x00{'descr': '|u1', ",
    ):
        path.write_bytes(content)
        assert "npy" in refused(read_array, path, dims=2)
    np.save(path, np.zeros((40, 40), np.uint8))
    path.write_bytes(path.read_bytes()[:-1])
    assert "is not a plain .npy array" in refused(read_array, path, dims=2)
    np.save(path, np.zeros((4, 8), np.uint8))
    monkeypatch.setattr(images, "MAX_PIXELS", 31)
    assert "the limit is 31 pixels" in refused(read_array, path, dims=2)


def test_whatever_pillow_raises_names_the_file(tmp_path, monkeypatch):
    path = tmp_path / "image.jpg"
    Image.new("RGB", (8, 4)).save(path, dpi=(72, 72), exif=b"Exif\0\0MM\0*\0\0")  # cut short: a struct.error
    assert "does not decode" in refused(read_any_image, path)
    assert read_image(path).shape == (4, 8, 3)  # it asks for no EXIF

    def broken(*_):
        raise RuntimeError("a plugin's own")

    Image.new("RGB", (8, 4)).save(path)
    monkeypatch.setattr(Image.Image, "convert", broken)
    for read in (read_image, read_any_image):
        assert "does not decode: replace it (a plugin's own)" in refused(read, path)
    monkeypatch.setattr(Image, "open", broken)
    for read in (read_image, read_any_image, read_mask):
        assert "is not an image" in refused(read, path)


def test_want_of_memory_is_no_fault_of_the_image(tmp_path, monkeypatch):
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
def test_any_image_of_any_mode(tmp_path, name):
    image, color = KINDS[name]()
    image.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    read = read_any_image(tmp_path / name)
    assert (read.dtype, read.shape) == (np.uint8, (image.height, image.width, 3))
    assert np.abs(read.astype(int) - color).max() <= 2


@pytest.mark.parametrize("turn", range(1, 9))
def test_any_image_is_turned_as_its_exif_says(tmp_path, turn):
    from PIL import ImageOps

    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = turn
    image.save(tmp_path / "a.png", exif=exif)
    read = read_any_image(tmp_path / "a.png")
    assert read.shape == ((4, 2, 3) if turn > 4 else (2, 4, 3))
    with Image.open(tmp_path / "a.png") as stored:
        assert np.array_equal(read, np.asarray(ImageOps.exif_transpose(stored)))
    assert {1: np.array_equal(read, pixels), 3: np.array_equal(read, pixels[::-1, ::-1])}.get(turn, True)


def test_any_image_that_is_none(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    assert "is not an image" in refused(read_any_image, tmp_path / "a.jpg")
    Image.fromarray(np.full((2, 4), 0.5, np.float32)).save(tmp_path / "a.tif")
    assert "no 8- or 16-bit pixels" in refused(read_any_image, tmp_path / "a.tif")
    Image.new("RGB", (64, 64), RED).save(tmp_path / "b.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:300])
    assert "b.jpg" in refused(read_any_image, tmp_path / "b.jpg")
