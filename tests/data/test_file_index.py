"""Files are found by their stem, whatever the case of their ending, and two files of one stem are named."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vocctl.data.audit import audit
from vocctl.data.file_index import IMAGE_ENDINGS, files_by_stem
from vocctl.data.releases import Release, check_release
from vocctl.data.voc import VocData
from vocctl.errors import DataError


def test_files_by_stem(tmp_path):
    for name in ("a.JPG", "b.v2.jpeg", "c.PNG", "c.jpg", ".hidden.jpg", "._a.jpg", "notes.txt", "d"):
        (tmp_path / name).write_bytes(b"")
    assert files_by_stem(tmp_path, IMAGE_ENDINGS) == {"a": ["a.JPG"], "b.v2": ["b.v2.jpeg"], "c": ["c.PNG", "c.jpg"]}
    assert files_by_stem(tmp_path / "none", IMAGE_ENDINGS) == {}


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
    with pytest.raises(DataError, match=r"a\.jpg is a JPEG, which changes labels: save the mask as PNG"):
        VocData(devkit, "tiny").mask("a")
    assert [problem.path.name for problem in audit(devkit).problems] == ["a.jpg"]


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
    assert len(listed) == 3  # JPEGImages, SegmentationClass and SegmentationClassAug


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
