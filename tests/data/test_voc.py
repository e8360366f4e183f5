"""The devkit's folders: found from three heights, split by split, image by image."""

import shutil

import numpy as np
import pytest

from vocctl.data.voc import VocData, find_devkit
from vocctl.errors import DataError


@pytest.fixture
def data(devkit) -> VocData:
    return VocData(devkit, name="tiny")


def test_found_from_the_year_the_voc_devkit_and_above(devkit):
    assert find_devkit(devkit) == find_devkit(devkit.parent) == find_devkit(devkit.parent.parent) == devkit


def test_found_under_trainval_as_2011_has_it(devkit):
    root = devkit.parent.parent
    (root / "TrainVal").mkdir()
    shutil.move(devkit.parent, root / "TrainVal" / "VOCdevkit")
    assert find_devkit(root) == root / "TrainVal" / "VOCdevkit" / "VOC2009"


def test_several_years_must_be_told_apart(devkit):
    shutil.copytree(devkit, devkit.parent / "VOC2012")
    (devkit.parent / "VOC2010").mkdir()  # without images: not a year that is there
    with pytest.raises(DataError, match=r"holds several years \(VOC2009, VOC2012\): name one of them, as --data "):
        find_devkit(devkit.parent.parent)
    assert find_devkit(devkit) == devkit


def test_no_data_set(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path} is no data set") as caught:
        find_devkit(tmp_path)
    assert "vocctl download" in str(caught.value)


def test_splits_and_ids(data):
    assert data.splits() == ("train", "trainval", "val")
    assert data.ids("train") == ["a", "b"]
    assert data.ids("trainval") == ["a", "b", "c"]


def test_ids_in_the_lists_own_order(data):
    (data.devkit / "ImageSets" / "Segmentation" / "odd.txt").write_text("\nc \r\n a\n\n")
    assert data.ids("odd") == ["c", "a"]


def test_image_and_mask(data):
    assert (data.image("a").shape, data.image("a").dtype) == ((6, 8, 3), np.uint8)
    assert np.array_equal(data.mask("a"), np.full((6, 8), 15))
    assert data.image_path("a").is_file()
    assert data.mask_path("a").is_file()
    assert (data.root, data.layout) == (data.devkit, "VOC devkit")


def test_a_split_that_is_not_there(data):
    with pytest.raises(DataError, match=r"test\.txt is missing: the splits with masks are train, trainval, val"):
        data.ids("test")


def test_an_empty_split(data):
    (data.devkit / "ImageSets" / "Segmentation" / "train.txt").write_text(" \n")
    with pytest.raises(DataError, match=r"train\.txt is empty"):
        data.ids("train")


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "..", "a/b"])
def test_an_id_may_not_leave_the_folder(data, name):
    (data.devkit / "ImageSets" / "Segmentation" / "train.txt").write_text(f"a\n{name}\n")
    with pytest.raises(DataError, match="an id is a file name without its folder"):
        data.ids("train")


def test_a_list_that_is_no_text(data):
    (data.devkit / "ImageSets" / "Segmentation" / "train.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="can't be read as text"):
        data.ids("train")


def test_a_image_that_is_missing(data):
    data.image_path("a").unlink()
    with pytest.raises(DataError, match=r"a\.jpg is missing"):
        data.image("a")
