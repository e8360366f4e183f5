"""Files are found by their stem, whatever the case of their ending, and two files of one stem are named."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vocctl.data.audit import audit
from vocctl.data.file_index import IMAGE_ENDINGS, FileIndex, files_by_stem
from vocctl.data.releases import Release, check_release
from vocctl.data.voc import VocData
from vocctl.errors import DataError


def test_files_by_stem(tmp_path):
    for name in ("a.JPG", "b.v2.jpeg", "c.PNG", "c.jpg", ".hidden.jpg", "._a.jpg", "notes.txt", "d"):
        (tmp_path / name).write_bytes(b"")
    assert files_by_stem(tmp_path, IMAGE_ENDINGS) == {"a": ["a.JPG"], "b.v2": ["b.v2.jpeg"], "c": ["c.PNG", "c.jpg"]}
    assert files_by_stem(tmp_path / "none", IMAGE_ENDINGS) == {}


def test_a_stem_in_another_case_or_unicode_form():
    index = FileIndex(["IMG_1.JPG", "Mu\u0308ller.png", "b.jpg", "B.jpg"])
    assert index["img_1"] == index["IMG_1"] == ["IMG_1.JPG"]
    assert index["M\u00fcller"] == ["Mu\u0308ller.png"]  # the letter as one character, and as u and two dots
    assert (index["b"], index["B"]) == (["b.jpg"], ["B.jpg"])
    assert "c" not in index
    assert "straSSe" not in FileIndex(["strasse.jpg", "STRASSE.jpg"])  # which of them is not known
    assert list(index) == ["B", "IMG_1", "Mu\u0308ller", "b"]
    assert len(index) == 4


def test_images_and_masks_in_another_case_than_their_list(devkit):
    image, mask = devkit / "JPEGImages" / "a.jpg", devkit / "SegmentationClass" / "a.png"
    image.rename(image.with_name("A.JPG"))
    data = VocData(devkit, "tiny")
    assert data.image("a").shape == (6, 8, 3)
    assert data.mask_path("A") == mask
    assert data.masked_ids() == ["A", "b", "c"]
    assert audit(devkit).problems == ()


def test_class_lists_in_another_case(tiny):
    before = VocData.open(tiny).labels("val")
    for path in (tiny / "VOCdevkit" / "VOC2009" / "ImageSets" / "Main").glob("*_*.txt"):
        path.rename(path.with_name(path.name.capitalize()))
    data = VocData.open(tiny)
    assert data.label_splits() == ("train", "trainval", "val")
    assert [row.tolist() for row in data.labels("val").values()] == [row.tolist() for row in before.values()]
    assert audit(tiny).problems == ()


@pytest.mark.parametrize("ending", [".JPG", ".jpeg", ".JPEG", ".png", ".PNG", ".bmp", ".webp", ".TIF"])
def test_images_of_any_ending(devkit, ending):
    image = devkit / "JPEGImages" / "a.jpg"
    Image.open(image).save(image.with_suffix(ending))
    if not image.samefile(image.with_suffix(ending)):
        image.unlink()
    data = VocData(devkit, "tiny")
    assert data.image_path("a").name == f"a{ending}"
    assert data.image("a").shape == (6, 8, 3)
    assert audit(devkit).problems == ()


@pytest.mark.parametrize("ending", [".PNG", ".bmp", ".tif"])
def test_masks_of_any_lossless_ending(devkit, ending):
    mask = devkit / "SegmentationClass" / "a.png"
    Image.open(mask).save(mask.with_name(f"new{ending}"))
    mask.unlink()
    mask.with_name(f"new{ending}").rename(mask.with_suffix(ending))
    assert np.array_equal(VocData(devkit, "tiny").mask("a"), np.full((6, 8), 15))
    assert audit(devkit).problems == ()


def test_a_jpeg_is_not_a_mask(devkit):
    mask = devkit / "SegmentationClass" / "a.png"
    Image.open(mask).convert("L").save(mask.with_suffix(".jpg"))
    assert VocData(devkit, "tiny").mask_path("a") == mask  # a drawing of the mask beside it
    mask.unlink()
    with pytest.raises(DataError, match=r"a\.jpg is a JPEG file, whose compression changes labels: save it as a PNG"):
        VocData(devkit, "tiny").mask("a")
    assert [problem.path.name for problem in audit(devkit).problems] == ["a.jpg"]


def test_masks_of_labelme(devkit):
    """It writes arrays to SegmentationClass and the masks to SegmentationClassPNG."""
    masks = devkit / "SegmentationClass"
    masks.rename(devkit / "SegmentationClassPNG")
    masks.mkdir()
    (masks / "a.npy").write_bytes(b"")
    assert np.array_equal(VocData(devkit, "tiny").mask("a"), np.full((6, 8), 15))
    assert audit(devkit).problems == ()


def test_an_image_that_is_not_read(devkit):
    image = devkit / "JPEGImages" / "a.jpg"
    heic = image.with_suffix(".HEIC")
    heic.write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    assert audit(devkit).problems == ()  # it was converted
    image.unlink()
    (problem,) = audit(devkit).problems
    assert problem.path == heic
    assert problem.reason.startswith("is a HEIC image, which is not read: save it as JPEG or PNG, as `magick")
    assert "a" in VocData(devkit, "tiny").masked_ids()  # so that --make-lists names the file


@pytest.mark.parametrize(
    ("folder", "names"), [("JPEGImages", "a.JPG and a.jpg"), ("SegmentationClass", "a.PNG and a.png")]
)
def test_two_files_of_one_id_are_an_error(devkit, folder, names):
    path = next((devkit / folder).glob("a.*"))
    (devkit / folder / names.split()[0]).write_bytes(path.read_bytes())
    data = VocData(devkit, "tiny")
    with pytest.raises(DataError, match=f"{folder} has {names}: an id stands for one file, remove the others"):
        data.image_path("a"), data.mask_path("a")
    (problem,) = audit(devkit).problems
    assert names in problem.reason


def test_a_folder_is_listed_once(devkit, monkeypatch):
    """20,000 images must not cost a look-up on the disk for each id and ending."""
    listed: list[Path] = []
    monkeypatch.setattr(os, "listdir", lambda folder, original=os.listdir: listed.append(folder) or original(folder))
    monkeypatch.setattr(Path, "stat", lambda path, **_: pytest.fail(f"{path} was looked up"))
    data = VocData(devkit, "tiny")
    for image_id in "abc":
        data.image_path(image_id), data.mask_path(image_id)
    assert len(listed) == 4  # JPEGImages and MASK_FOLDERS


def test_lists_of_any_ending_and_hidden_files(devkit):
    lists = devkit / "ImageSets" / "Segmentation"
    (lists / "val.txt").rename(lists / "val.TXT")
    (lists / "._train.txt").write_bytes(b"\x00\x05")
    assert VocData(devkit, "tiny").splits() == ("train", "trainval", "val")
    assert audit(devkit).problems == ()


def test_a_release_with_other_endings_is_complete(devkit):
    path = devkit / "JPEGImages" / "a.jpg"
    path.rename(path.with_suffix(".JPG"))
    assert check_release(devkit, Release(year=2009, archive="", md5="", urls=()))["Segmentation/train"] == 2
