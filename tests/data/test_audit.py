"""A tiny devkit, or the competition's folder, with one problem in each test: the audit names it and nothing else."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vocctl.data.audit import audit
from vocctl.data.images import write_mask
from vocctl.data.split_files import make_lists_hint
from vocctl.errors import DataError
from vocctl.labels import CLASSES

CLEAN = {"Segmentation/train": 2, "Segmentation/trainval": 3, "Segmentation/val": 1}
CLEAN |= {key.replace("Segmentation", "Main"): size for key, size in CLEAN.items()}


def only_problem(root: Path) -> tuple[str, str]:
    """(file name, reason) of the one problem that root has."""
    problems = audit(root).problems
    assert len(problems) == 1, problems
    reason = problems[0].reason
    assert "\n" not in reason
    assert not reason.startswith(str(root)), "the path is given already"
    return problems[0].path.name, reason


def save_mask(devkit: Path, name: str, mask: np.ndarray, mode: str = "P") -> None:
    image = Image.fromarray(mask.astype(np.uint8))
    if mode == "P":
        image.putpalette([0, 0, 0] * 256)
    image.convert(mode).save(devkit / "SegmentationClass" / f"{name}.png")


def test_devkit_without_problems(devkit):
    counts = []
    result = audit(devkit.parent.parent, on_image=lambda done, total: counts.append((done, total)))
    assert result.problems == ()
    assert result.layout == "VOC devkit"
    assert result.splits == CLEAN
    assert result.num_images == 3  # each once, though four lists name it
    assert counts == [(1, 3), (2, 3), (3, 3)]


def test_gray_masks_and_every_label_are_valid(devkit):
    labels = np.resize([*range(21), 255], (6, 8))
    save_mask(devkit, "a", labels)
    save_mask(devkit, "b", labels, mode="L")
    assert audit(devkit).problems == ()


def test_truncated_image(devkit):
    image = devkit / "JPEGImages" / "b.jpg"
    image.write_bytes(image.read_bytes()[:-20])
    name, reason = only_problem(devkit)
    assert name == "b.jpg"
    assert "cannot be decoded" in reason
    assert "truncated" in reason


def test_missing_image_and_missing_mask(devkit):
    (devkit / "JPEGImages" / "a.jpg").unlink()
    (devkit / "SegmentationClass" / "c.png").unlink()
    problems = audit(devkit).problems
    assert {problem.path.name for problem in problems} == {"a.jpg", "c.png"}
    assert all("is missing" in problem.reason for problem in problems)


def test_image_that_only_main_lists_needs_no_mask(devkit):
    (devkit / "SegmentationClass" / "c.png").unlink()
    for split in ("val", "trainval"):
        path = devkit / "ImageSets" / "Segmentation" / f"{split}.txt"
        path.write_text(path.read_text().replace("c", "d"))
    for source, target in (
        ("JPEGImages/c.jpg", "JPEGImages/d.jpg"),
        ("SegmentationClass/a.png", "SegmentationClass/d.png"),
    ):
        (devkit / target).write_bytes((devkit / source).read_bytes())
    assert audit(devkit).problems == ()
    assert audit(devkit).num_images == 4


def test_mask_with_a_color_that_voc_does_not_have(devkit):
    path = devkit / "SegmentationClass" / "a.png"
    Image.new("RGB", (8, 6), (192, 128, 128)).save(path)
    assert audit(devkit).problems == ()
    Image.new("RGB", (8, 6), (192, 128, 129)).save(path)
    name, reason = only_problem(devkit)
    assert name == "a.png"
    assert "is an RGB mask with color (192, 128, 129) at x 0, y 0, none of VOC's" in reason


def test_palette_that_contradicts_the_labels(devkit):
    path = devkit / "SegmentationClass" / "a.png"
    mask = np.zeros((6, 8), np.uint8)
    mask[2:] = 15
    write_mask(path, mask)
    with Image.open(path) as image:
        image.convert("RGB").quantize(2).save(path)
    name, reason = only_problem(devkit)
    assert name == "a.png"
    assert "has VOC's colors in its palette, but at other indices than the labels: it is read by color" in reason


def save_with_orientation(path: Path, size: tuple[int, int], orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size, "red").save(path, exif=exif)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_orientation_that_the_masks_size_does_not_tell_is_a_problem(devkit, orientation):
    save_with_orientation(devkit / "JPEGImages" / "a.jpg", (8, 6) if orientation == 3 else (6, 6), orientation)
    save_mask(devkit, "a", np.zeros((6, 8 if orientation == 3 else 6)))
    name, reason = only_problem(devkit)
    assert name == "a.jpg"
    assert f"has EXIF orientation {orientation}, and its mask fits upright or as stored" in reason


@pytest.mark.parametrize("size", [(6, 8), (8, 6)])
def test_exif_orientation_that_the_masks_size_tells_is_a_note(devkit, size):
    save_with_orientation(devkit / "JPEGImages" / "a.jpg", size, 6)  # the mask is 8 x 6: as stored, or upright
    result = audit(devkit)
    assert result.problems == ()
    (note,) = result.notes
    assert note.path.name == "a.jpg"
    assert "has EXIF orientation 6: it is read upright" in note.reason


def test_exif_orientation_of_an_image_without_a_mask_is_a_note(devkit):
    for split in ("train", "val", "trainval"):
        (devkit / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("c\n" if split == "val" else "b\n")
    save_with_orientation(devkit / "JPEGImages" / "a.jpg", (8, 6), 3)
    assert audit(devkit).problems == ()
    assert [note.path.name for note in audit(devkit).notes] == ["a.jpg"]


@pytest.mark.parametrize(("largest", "notes"), [(4095, 1), (65535, 0)])
def test_dark_16_bit_image_is_a_note(devkit, largest, notes):
    (devkit / "JPEGImages" / "a.jpg").unlink()
    pixels = np.linspace(0, largest, 48).astype(np.uint16).reshape(6, 8)
    Image.fromarray(pixels).save(devkit / "JPEGImages" / "a.png")
    result = audit(devkit)
    assert result.problems == ()
    assert [note.path.name for note in result.notes] == ["a.png"] * notes
    assert all("no value above 4095: it is read nearly black" in note.reason for note in result.notes)


def test_mask_of_another_size_names_the_exif_orientation(devkit):
    save_with_orientation(devkit / "JPEGImages" / "a.jpg", (8, 7), 6)
    name, reason = only_problem(devkit)
    assert name == "a.png"
    assert "is 8 x 6 pixels, its image 7 x 8 after its EXIF orientation 6" in reason


def test_label_that_voc_does_not_have(devkit):
    mask = np.zeros((6, 8))
    mask[2, 3] = 77
    save_mask(devkit, "a", mask)
    assert only_problem(devkit) == ("a.png", "has label 77: masks have labels 0..20 and 255 (border), fix it")


def test_mask_of_other_size(devkit):
    save_mask(devkit, "a", np.zeros((8, 6)))
    name, reason = only_problem(devkit)
    assert name == "a.png"
    assert "is 6 x 8 pixels, its image 8 x 6" in reason


def test_decompression_bomb(devkit):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    (devkit / "JPEGImages" / "a.jpg").write_bytes(bomb)  # a PNG whatever its extension
    name, reason = only_problem(devkit)
    assert name == "a.jpg"
    assert "declares too many pixels, the limit is 200000000" in reason


@pytest.mark.parametrize("lists", ["Main", "Segmentation"])
def test_image_in_train_and_val(devkit, lists):
    (devkit / "ImageSets" / lists / "val.txt").write_text("c\nb\n")
    name, reason = only_problem(devkit)
    assert name == "val.txt"
    advice = "an image in both leaks into the score, so remove it from one list"
    assert reason == f"lists b, which {lists}/train lists too: {advice}"


def test_further_images_in_both_are_counted(devkit):
    names = [f"p{number}" for number in range(5)]
    for name in names:
        (devkit / "JPEGImages" / f"{name}.jpg").write_bytes((devkit / "JPEGImages" / "a.jpg").read_bytes())
    for split in ("train", "val"):
        (devkit / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names))
    assert "lists p0, p1, p2 and 2 more, which" in only_problem(devkit)[1]


@pytest.mark.parametrize("lists", ["Main", "Segmentation"])
def test_empty_list(devkit, lists):
    (devkit / "ImageSets" / lists / "train.txt").write_text("")
    assert only_problem(devkit) == ("train.txt", "is empty: a split needs at least one image")


@pytest.mark.parametrize("lists", ["Main", "Segmentation"])
def test_list_that_is_not_text(devkit, lists):
    (devkit / "ImageSets" / lists / "train.txt").write_bytes(b"\xff\xfe")
    assert only_problem(devkit)[0] == "train.txt"


@pytest.mark.parametrize("lists", ["Main", "Segmentation"])
def test_id_with_a_folder(devkit, lists):
    (devkit / "ImageSets" / lists / "train.txt").write_text("a\n../../../secret\n")
    assert "lists '../../../secret'" in only_problem(devkit)[1]


def test_repeated_id(devkit):
    (devkit / "ImageSets" / "Main" / "train.txt").write_text("a\nb\na\n")
    assert only_problem(devkit) == ("train.txt", "lists a more than once: remove the duplicates")


@pytest.mark.parametrize("line", ["b  2", "b", "b yes", "b 1 1"])
def test_invalid_line_of_a_class_list(devkit, line):
    (devkit / "ImageSets" / "Main" / "person_train.txt").write_text(f"a  0\n{line}\n")
    name, reason = only_problem(devkit)
    assert name == "person_train.txt"
    assert reason.startswith(f"line 2 is {' '.join(line.split())!r}")


def test_devkit_without_lists(devkit):
    for path in (devkit / "ImageSets").rglob("*.txt"):
        path.unlink()
    assert only_problem(devkit) == ("VOC2009", f"has no lists of images: {make_lists_hint(devkit)}")


def test_folder_that_is_not_a_data_set(tmp_path):
    with pytest.raises(DataError, match="is not a data set"):
        audit(tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        audit(tmp_path / "none")


@pytest.fixture
def competition(tmp_path: Path) -> Path:
    """Six training images with masks and one test image, 8 x 6 pixels."""
    for part, ids, label in (("train", range(6), 1), ("test", range(1), -1)):
        (tmp_path / part / "img").mkdir(parents=True)
        rows = [["Id", *CLASSES], *([str(number), *[str(label)] * 20] for number in ids)]
        (tmp_path / part / f"{part}_set.csv").write_text("\n".join(",".join(row) for row in rows))
        for number in ids:
            np.save(tmp_path / part / "img" / f"{part}_{number}.npy", np.zeros((6, 8, 3), dtype=np.uint8))
    (tmp_path / "train" / "seg").mkdir()
    for number in range(6):
        np.save(tmp_path / "train" / "seg" / f"train_{number}.npy", np.full((6, 8), 20, dtype=np.uint8))
    return tmp_path


def test_competition_without_problems(competition):
    result = audit(competition)
    assert result.problems == ()
    assert result.layout == "competition .npy"
    assert result.splits == {"train": 5, "val": 1, "trainval": 6, "test": 1}  # every fifth training image is in val
    assert result.num_images == 7


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros((8, 6), dtype=np.uint8), "is 6 x 8 pixels"),
        (np.full((6, 8), 77, dtype=np.uint8), "has label 77"),
        (np.zeros((6, 8), dtype=np.float32), "is float32"),
        (np.array([{"a": 1}], dtype=object), "is not a plain .npy array"),  # pickled: never loaded
    ],
)
def test_invalid_array(competition, array, expected):
    np.save(competition / "train" / "seg" / "train_3.npy", array, allow_pickle=True)
    name, reason = only_problem(competition)
    assert name == "train_3.npy"
    assert expected in reason


def test_truncated_array(competition):
    image = competition / "test" / "img" / "test_0.npy"
    image.write_bytes(image.read_bytes()[:-10])
    assert only_problem(competition)[0] == "test_0.npy"


@pytest.mark.parametrize(("part", "value", "allowed"), [("train", "-1", "0, 1"), ("test", "2", "-1, 0, 1")])
def test_invalid_label_in_a_table(competition, part, value, allowed):
    path = competition / part / f"{part}_set.csv"
    lines = path.read_text().splitlines()
    lines[1] = lines[1].rpartition(",")[0] + f",{value}"
    path.write_text("\n".join(lines))
    assert only_problem(competition) == (path.name, f"the row of Id 0 has label {value}: expected {allowed}")


def test_corrupt_table_is_named_once(competition):
    (competition / "train" / "train_set.csv").write_text("Id,cat\n0,1\n")
    assert only_problem(competition)[0] == "train_set.csv"


def test_image_that_the_table_does_not_list(competition):
    image = competition / "train" / "img"
    (image / "train_9.npy").write_bytes((image / "train_0.npy").read_bytes())
    name, reason = only_problem(competition)
    assert name == "train_set.csv"
    assert reason.startswith("does not list train_9 of img/")
