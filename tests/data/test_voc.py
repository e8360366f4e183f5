"""The VOC devkit: where it is found, its splits, images, masks and class lists."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vocctl.data.voc import VocData, find_devkit, is_voc
from vocctl.errors import DataError
from vocctl.labels import CLASSES, IGNORE


@pytest.fixture
def data(devkit) -> VocData:
    return VocData(devkit, name="tiny")


def test_devkit_is_found_from_its_year_or_a_parent(devkit):
    assert find_devkit(devkit) == find_devkit(devkit.parent) == find_devkit(devkit.parent.parent) == devkit


def test_devkit_of_2011_is_found_under_trainval(devkit):
    root = devkit.parent.parent
    (root / "TrainVal").mkdir()
    shutil.move(devkit.parent, root / "TrainVal" / "VOCdevkit")
    assert find_devkit(root) == root / "TrainVal" / "VOCdevkit" / "VOC2009"


def test_several_years_are_ambiguous(devkit):
    shutil.copytree(devkit, devkit.parent / "VOC2012")
    (devkit.parent / "VOC2010").mkdir()  # without images it does not count
    with pytest.raises(DataError, match=r"has several years \(VOC2009, VOC2012\): name one of them, as --data "):
        find_devkit(devkit.parent.parent)
    assert find_devkit(devkit) == devkit


def test_folder_without_a_devkit(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path} has no VOC devkit: expected VOCdevkit/"):
        find_devkit(tmp_path)
    assert not is_voc(tmp_path)


def test_splits_and_ids(data):
    assert data.splits() == ("train", "trainval", "val")
    assert data.ids("train") == ["a", "b"]
    assert data.ids("trainval") == ["a", "b", "c"]


def test_ids_are_in_the_order_of_the_list(data):
    (data.devkit / "ImageSets" / "Segmentation" / "odd.txt").write_text("\nc \r\n a\n\n")
    assert data.ids("odd") == ["c", "a"]


def test_image_and_mask(data):
    assert (data.image("a").shape, data.image("a").dtype) == ((6, 8, 3), np.uint8)
    assert np.array_equal(data.mask("a"), np.full((6, 8), 15))
    assert data.image_path("a").is_file()
    assert data.mask_path("a").is_file()
    assert (data.root, data.layout) == (data.devkit, "VOC devkit")


def test_missing_split(data):
    with pytest.raises(DataError, match=r"test\.txt is missing: the splits with masks are train, trainval, val"):
        data.ids("test")


def test_empty_split(data):
    (data.devkit / "ImageSets" / "Segmentation" / "train.txt").write_text(" \n")
    with pytest.raises(DataError, match=r"train\.txt is empty"):
        data.ids("train")


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "..", "a/b"])
def test_id_with_a_folder(data, name):
    (data.devkit / "ImageSets" / "Segmentation" / "train.txt").write_text(f"a\n{name}\n")
    with pytest.raises(DataError, match="an id is a file name without its folder"):
        data.ids("train")


def test_list_that_is_not_text(data):
    (data.devkit / "ImageSets" / "Segmentation" / "train.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as text"):
        data.ids("train")


def test_missing_image(data):
    data.image_path("a").unlink()
    with pytest.raises(DataError, match=r"a\.jpg is missing"):
        data.image("a")


def test_png_is_read_if_there_is_no_jpeg(data):
    (data.devkit / "JPEGImages" / "a.jpg").unlink()
    Image.new("RGB", (8, 6), (9, 8, 7)).save(data.devkit / "JPEGImages" / "a.png")
    assert (data.image("a") == (9, 8, 7)).all()


def test_test_images_are_those_of_val(data):
    assert (data.test_split, data.has_public_test_masks) == ("val", True)
    assert data.test_ids() == {"0": "c"}
    ((classes, mask),) = data.test_truth(["c"])
    assert np.flatnonzero(classes).tolist() == [CLASSES.index("person")]
    assert np.array_equal(mask, data.mask("c"))


@pytest.fixture
def labeled(tiny) -> VocData:
    """Images of even number show an aeroplane, the others a bicycle."""
    return VocData.open(tiny)


def cat_list(labeled: VocData) -> Path:
    return labeled.devkit / "ImageSets" / "Main" / "cat_val.txt"


def test_labels_follow_the_class_lists(labeled):
    assert labeled.label_splits() == ("train", "trainval", "val")
    labels = labeled.labels("val")
    assert list(labels) == ["tiny_008", "tiny_009", "tiny_010", "tiny_011"]
    assert [np.flatnonzero(row).tolist() for row in labels.values()] == [[0], [1], [0], [1]]
    assert (labels["tiny_008"].shape, labels["tiny_008"].dtype) == ((20,), np.uint8)


def test_difficult_objects_become_ignore(labeled):
    path = cat_list(labeled)
    path.write_text(path.read_text().replace("tiny_008 -1", "tiny_008  0"))
    target = labeled.labels("val")["tiny_008"]
    assert target[CLASSES.index("cat")] == IGNORE
    assert sorted(set(target.tolist())) == [0, 1, IGNORE]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), r"cat_val.txt is missing: the splits with class lists are train, trainval, val"),
        (lambda path: path.write_text(""), "is empty"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "cannot be read as text"),
        (lambda path: path.write_text("tiny_008 2\n"), r"line 1: expected an id and 1, 0 or -1, got 'tiny_008 2'"),
        (lambda path: path.write_text("tiny_008\n"), "line 1"),
        (lambda path: path.write_text("../x 1\n"), "without its folder"),
        (lambda path: path.write_text("tiny_008 1\n\ntiny_008 -1\n"), "line 3: tiny_008 is listed twice"),
        (lambda path: path.write_text("tiny_008 1\n"), r"list different images \(tiny_009\)"),
        (lambda path: path.write_text(path.read_text() + "tiny_000 1\n"), r"list different images \(tiny_000\)"),
    ],
)
def test_invalid_class_lists(labeled, change, message):
    change(cat_list(labeled))
    with pytest.raises(DataError, match=message):
        labeled.labels("val")
