"""The labels of masks that other tools have written: palettes, colors, gray values and bit depths."""

import logging
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vocctl.data import images
from vocctl.data.images import mask_png, palette_use, read_mask
from vocctl.errors import DataError
from vocctl.labels import FLAT_PALETTE, PALETTE

ALL = np.resize(np.array([*range(21), 255], np.uint8), (6, 8))


def save_palette(path: Path, indices: np.ndarray, colors: list[tuple[int, int, int]]) -> None:
    image = Image.fromarray(indices.astype(np.uint8))
    image.putpalette([channel for color in colors for channel in color])
    image.save(path)


def message_of(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_mask(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mask.png"


@pytest.mark.parametrize("label", [*range(1, 21), 255])
def test_renumbered_palette_is_read_by_color(path, label):
    mask = np.array([[0, 0, label], [label, label, 0]], np.uint8)
    path.write_bytes(mask_png(mask))
    with Image.open(path) as image:
        image.convert("RGB").quantize(2).save(path)
    with Image.open(path) as image:
        assert np.asarray(image).max() == 1  # the index says nothing
    assert np.array_equal(read_mask(path), mask)


@pytest.mark.parametrize("save", [lambda image, path: image.quantize(22).save(path), lambda i, p: i.save(p, "GIF")])
def test_every_label_is_read_by_color(path, save):
    path.write_bytes(mask_png(ALL))
    with Image.open(path) as image:
        save(image.convert("RGB"), path)
    assert np.array_equal(read_mask(path), ALL)


def test_reordered_palette_is_read_by_color(path):
    order = np.random.default_rng(0).permutation(256)  # label order[i] stands at index i
    save_palette(path, np.argsort(order)[ALL], [PALETTE[label] for label in order])
    assert np.array_equal(read_mask(path), ALL)
    assert palette_use(path) == "color"


@pytest.mark.parametrize(
    "colors",
    {
        "ramp": [(value, value, value) for value in range(256)],
        "steep ramp": [(16 * value % 256,) * 3 for value in range(256)],  # entry 8 has the color of label 7
        "black": [(0, 0, 0)] * 256,
        "VOC's 21 colors, filled up": [*PALETTE[:21], *[(0, 0, 0)] * 235],
        "void is black": [*PALETTE[:255], (0, 0, 0)],
        "void is white": [*PALETTE[:255], (255, 255, 255)],
        "red and blue exchanged": [color[::-1] for color in PALETTE],
        "other colors": [(255 - value, 3, value) for value in range(256)],
    }.items(),
    ids=lambda item: item[0],
)
def test_palette_that_does_not_contradict_is_read_by_index(path, colors):
    save_palette(path, ALL, colors[1])
    assert np.array_equal(read_mask(path), ALL)
    assert palette_use(path) == ("foreign" if colors[0] == "other colors" else "index")


def test_void_of_another_color_without_background(path):
    save_palette(
        path, np.array([[15, 255]]), [*PALETTE[:255], (0, 0, 0)]
    )  # black is the background's color, index 0 is not used
    assert read_mask(path).tolist() == [[15, 255]]


def test_index_beyond_the_palette_is_read_by_index(path):
    image = Image.fromarray(ALL)
    image.putpalette(FLAT_PALETTE[:63])
    image.save(path, bits=8)
    assert np.array_equal(read_mask(path), ALL)


def test_palette_of_voc_and_other_colors_is_refused(path):
    save_palette(path, np.array([[0, 1, 2]]), [(0, 0, 0), PALETTE[15], (1, 2, 3)])
    message = message_of(path)
    assert "palette entry 1 has VOC's color of person, and entry 2, (1, 2, 3), none of VOC's" in message
    save_palette(path, np.array([[0, 1, 1]]), [(0, 0, 0), PALETTE[15], (1, 2, 3)])  # entry 2 is not used
    assert read_mask(path).tolist() == [[0, 15, 15]]


@pytest.mark.parametrize("save", [lambda image, path: image.save(path, "GIF"), lambda i, p: i.quantize().save(p)])
def test_renumbered_gray_values_are_refused(path, save):
    """Pillow stores the gray values in the palette and numbers them anew."""
    save(Image.fromarray(np.array([[0, 15, 20, 255]] * 4, np.uint8)), path)
    with Image.open(path) as image:
        assert np.asarray(image).max() == 3
    assert "which of the two is the label is unknown" in message_of(path)


def test_palette_for_drawings_is_refused(path):
    path.write_bytes(mask_png(np.ones((4, 4))))
    with Image.open(path) as image:
        image.convert("RGB").convert("P").save(path)
    with Image.open(path) as image:
        assert set(np.unique(image)) == {12, 13}  # darker and lighter red than VOC's aeroplane, at valid labels
    assert "has a palette for drawings" in message_of(path)


def test_reading_by_color_is_logged_once(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(images, "_folders_with_a_warning", set())
    for name in "ab":
        save_palette(tmp_path / f"{name}.png", np.array([[0, 1]]), [(0, 0, 0), PALETTE[15]])
    with caplog.at_level(logging.WARNING):
        for name in "aba":
            read_mask(tmp_path / f"{name}.png")
    (record,) = caplog.records
    assert "masks are read by color" in record.message
    assert "the first is a.png" in record.message


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colors_of_voc_are_labels(path, mode):
    Image.fromarray(np.array(PALETTE, np.uint8)[ALL]).convert(mode).save(path)
    assert np.array_equal(read_mask(path), ALL)


@pytest.mark.parametrize(
    ("mode", "color"),
    [("RGB", (192, 128, 129)), ("RGB", (255, 255, 255)), ("RGB", (15, 15, 15)), ("RGBA", (192, 128, 128, 0))],
)
def test_other_color_is_refused_with_its_pixel(path, mode, color):
    image = Image.new(mode, (5, 4), PALETTE[15])
    image.putpixel((3, 2), color)
    image.putpixel((0, 3), color)
    image.save(path)
    assert f"is an {mode} mask with color {color} at x 3, y 2, none of VOC's" in message_of(path)


@pytest.mark.parametrize(
    ("pixels", "advice"),
    [
        (np.repeat(ALL[..., None], 3, axis=2), "its channels are equal, so save one of them alone"),
        (np.array(PALETTE, np.uint8)[ALL][..., ::-1], "with red and blue exchanged all colors are VOC's"),
    ],
)
def test_refused_colors_with_a_known_cause(path, pixels, advice):
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)
    assert advice in message_of(path)


def test_transparent_background(path):
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (*PALETTE[7], 255))
    image.save(path)
    assert read_mask(path).tolist() == [[0, 7]]


def test_gray_values_are_labels(path):
    Image.fromarray(ALL.astype(np.uint16)).save(path)
    assert np.array_equal(read_mask(path), ALL)
    assert read_mask(path).dtype == np.uint8
    Image.merge("LA", [Image.fromarray(ALL), Image.new("L", (8, 6), 255)]).save(path)
    assert np.array_equal(read_mask(path), ALL)
    Image.fromarray(np.full((2, 2), 256 + 15, np.uint16)).save(path)
    assert "has label 271" in message_of(path)


def write_png(path: Path, bits: int, color_type: int, row: bytes) -> None:
    """A PNG of 2 x 1 pixels, of a kind that Pillow cannot write. color_type: by PNG, 0 gray, 2 RGB, 4 gray and alpha."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 1, bits, color_type, 0, 0, 0)
    row = b"\0" + row  # not filtered
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    )


def test_negative_values_are_refused(tmp_path):
    Image.fromarray(np.full((2, 2), -1, np.int32)).save(tmp_path / "mask.tif")
    assert "has label -1" in message_of(tmp_path / "mask.tif")  # not 255, which has the same bits


@pytest.mark.parametrize("bits", [2, 4])
def test_gray_below_8_bits_is_refused(path, bits):
    write_png(path, bits, 0, bytes([1 << (8 - 2 * bits)]))  # the values 0 and 1
    with Image.open(path) as image:
        assert np.asarray(image).tolist() == [[0, 255 // (2**bits - 1)]]  # 85 or 17: Pillow scales label 1
    assert "gray values of less than 8 bits" in message_of(path)


@pytest.mark.parametrize(("color_type", "pixel"), [(2, (0, 15, 0, 15, 0, 15)), (4, (0, 15, 255, 255))])
def test_channels_of_16_bits_are_refused(path, color_type, pixel):
    write_png(path, 16, color_type, bytes(pixel) * 2)
    with Image.open(path) as image:
        assert np.asarray(image).reshape(-1)[0] == 0  # Pillow drops the lower byte, which holds label 15
    assert "has several channels of 16 bits" in message_of(path)


@pytest.mark.parametrize(("kind", "row"), [("P5", b"\0\x14"), ("P2", b"0 20\n")])
def test_gray_values_with_another_maximum_are_refused(tmp_path, kind, row):
    path = tmp_path / "mask.pgm"
    path.write_bytes(f"{kind}\n2 1\n20\n".encode() + row)
    with Image.open(path) as image:
        assert np.asarray(image).tolist() == [[0, 255]]  # Pillow scales label 20 to void
    assert "has gray values up to 20" in message_of(path)
    path.write_bytes(path.read_bytes().replace(b"\n20\n", b"\n255\n", 1))
    assert read_mask(path).tolist() == [[0, 20]]


@pytest.mark.parametrize("mode", ["1", "F", "CMYK"])
def test_mode_without_labels_is_refused(tmp_path, mode):
    path = tmp_path / "mask.tif"
    Image.new(mode, (4, 3)).save(path)
    assert f"is a {mode} mask, whose values cannot be labels" in message_of(path)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "JPEG2000"])
def test_compression_with_loss_is_refused(path, kind):
    Image.fromarray(np.full((16, 16), 15, np.uint8)).save(path, kind)
    assert f"is a {kind} file, whose compression changes labels" in message_of(path)
