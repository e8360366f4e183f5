"""Lists for a folder of images and masks as annotation tools leave it."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from vocctl.data.make_lists import make_lists
from vocctl.data.source import open_dataset
from vocctl.errors import DataError


@pytest.fixture
def unlisted(noisy_devkit, tmp_path) -> Path:
    """26 images with masks, aeroplanes and bicycles in turn, without ImageSets."""
    shutil.copytree(noisy_devkit, tmp_path / "tree")
    shutil.rmtree(tmp_path / "tree" / "VOCdevkit" / "VOC2009" / "ImageSets")
    return tmp_path / "tree"


def copy_image(root: Path, image_id: str, new_id: str, *, with_mask: bool = True) -> None:
    for path in root.rglob(f"{image_id}.*"):
        if with_mask or path.parent.name == "JPEGImages":
            shutil.copy(path, path.with_stem(new_id))


def written(root: Path) -> dict[str, list[str]]:
    data = open_dataset(root)
    return {split: data.ids(split) for split in data.splits()}


def test_lists_are_stratified_and_follow_the_seed(unlisted):
    result = make_lists(unlisted, seed=0)
    splits = written(unlisted)
    assert {name: len(ids) for name, ids in splits.items()} == result.splits == {"train": 20, "val": 6}
    assert sorted(splits["train"] + splits["val"]) == [f"noisy_{number:03d}" for number in range(26)]
    assert {int(image_id[-3:]) % 2 for image_id in splits["val"]} == {0, 1}
    shutil.rmtree(unlisted / "VOCdevkit" / "VOC2009" / "ImageSets")
    make_lists(unlisted, seed=0)
    assert written(unlisted) == splits
    shutil.rmtree(unlisted / "VOCdevkit" / "VOC2009" / "ImageSets")
    make_lists(unlisted, seed=1)
    assert written(unlisted) != splits


def test_class_lists_follow_the_masks(unlisted):
    make_lists(unlisted, seed=0)
    data = open_dataset(unlisted)
    for split in ("train", "val"):
        labels = data.labels(split)
        assert list(labels) == data.ids(split)
        assert all(np.flatnonzero(row).tolist() == [int(i[-3:]) % 2] for i, row in labels.items())


def test_existing_class_lists_are_kept(unlisted):
    path = unlisted / "VOCdevkit" / "VOC2009" / "ImageSets" / "Main" / "aeroplane_train.txt"
    path.parent.mkdir(parents=True)
    path.write_text("noisy_000  1\n")
    make_lists(unlisted, seed=0)
    assert [file.name for file in path.parent.iterdir()] == ["aeroplane_train.txt"]


def test_copies_of_an_image_are_in_the_same_list(unlisted):
    for number in range(26):
        copy_image(unlisted, f"noisy_{number:03d}", f"copy of {number:03d}")
    make_lists(unlisted, seed=0)
    val = written(unlisted)["val"]
    assert {image_id[-3:] for image_id in val if "copy" in image_id} == {i[-3:] for i in val if "noisy" in i}


def test_images_without_a_mask_are_counted_not_listed(unlisted):
    copy_image(unlisted, "noisy_000", "new", with_mask=False)
    assert make_lists(unlisted, seed=0).num_without_mask == 1
    assert not any("new" in ids for ids in written(unlisted).values())


def test_two_images_give_two_lists(tmp_path, unlisted):
    for path in unlisted.rglob("noisy_*"):
        if path.stem not in ("noisy_000", "noisy_002"):
            path.unlink()
    assert make_lists(unlisted, seed=0).splits == {"train": 1, "val": 1}


@pytest.mark.parametrize("name", ["train.txt", "val.txt", "val.TXT"])
def test_existing_lists_are_kept(unlisted, name):
    lists = unlisted / "VOCdevkit" / "VOC2009" / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / name).write_text("noisy_000\n")
    with pytest.raises(DataError, match="exists already: remove it first"):
        make_lists(unlisted, seed=0)
    assert [path.name for path in lists.iterdir()] == [name]


def test_nothing_to_list(unlisted):
    shutil.rmtree(unlisted / "VOCdevkit" / "VOC2009" / "SegmentationClass")
    with pytest.raises(
        DataError, match=r"has 0 different images with a mask, two lists need at least 2: expected JPEGImages"
    ):
        make_lists(unlisted, seed=0)
    assert not (unlisted / "VOCdevkit" / "VOC2009" / "ImageSets").exists()


def test_unreadable_mask_leaves_no_list(unlisted):
    (unlisted / "VOCdevkit" / "VOC2009" / "SegmentationClass" / "noisy_004.png").write_bytes(b"PNG")
    with pytest.raises(DataError, match=r"noisy_004\.png is not a readable image"):
        make_lists(unlisted, seed=0)
    assert not (unlisted / "VOCdevkit" / "VOC2009" / "ImageSets").exists()
