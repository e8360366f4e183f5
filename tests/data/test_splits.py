"""Which images a run is trained and validated on, and their labels."""

import shutil

import numpy as np
import pytest
from PIL import Image

from vocctl.config import DataConfig
from vocctl.data.images import read_mask, write_mask
from vocctl.data.source import open_dataset
from vocctl.data.splits import (
    ClsSplit,
    SegSplit,
    Splits,
    chosen_size,
    open_cls_splits,
    open_seg_split,
    open_seg_splits,
)
from vocctl.errors import ConfigError, DataError

OPENERS = {"cls": open_cls_splits, "seg": open_seg_splits}


def open_splits(tiny, task="cls", **settings) -> Splits:
    return OPENERS[task](DataConfig(path=str(tiny), size=32, **settings))


def test_the_data_set_has_a_training_and_a_validation_split(tiny):
    splits = open_splits(tiny)
    assert (len(splits.train.images), len(splits.val.images), splits.num_shared_images) == (8, 4, 0)
    assert isinstance(splits.train, ClsSplit)
    assert splits.train.targets.sum(0)[:3].tolist() == [4, 4, 0]


def test_targets_from_masks_equal_the_image_level_labels(tiny):
    classification, segmentation = open_splits(tiny), open_splits(tiny, "seg")
    assert isinstance(segmentation.train, SegSplit)
    assert np.array_equal(segmentation.train.targets, classification.train.targets)
    selected = segmentation.train.take(np.array([3, 0]))
    assert selected.targets.argmax(1).tolist() == [1, 0]
    assert selected.images.has_masks
    assert not classification.train.images.has_masks


def test_images_in_both_splits_are_counted(tiny):
    assert open_splits(tiny, val_split="trainval").num_shared_images == 8


@pytest.mark.parametrize("task", ["cls", "seg"])
def test_validation_fraction_is_stratified_and_reproducible(tiny, task):
    first, second = open_splits(tiny, task, val=0.25), open_splits(tiny, task, val=0.25)
    assert first.val.images.ids == second.val.images.ids
    assert sorted(first.train.images.ids + first.val.images.ids) == [f"tiny_{n:03d}" for n in range(8)]
    labels = [int(image_id[-3:]) % 2 for image_id in first.val.images.ids]
    assert sorted(labels) == [0, 1]  # an aeroplane and a bicycle
    assert first.num_shared_images == 0


@pytest.mark.parametrize("task", ["cls", "seg"])
def test_images_that_are_listed_twice_do_not_leak(tiny, task):
    devkit = tiny / "VOCdevkit" / "VOC2009" / "ImageSets"
    for path in [*devkit.glob("*/train.txt"), *devkit.glob("Main/*_train.txt")]:
        path.write_text(path.read_text() * 2)
    splits = open_splits(tiny, task, val=0.25)
    assert (len(splits.train.images), len(splits.val.images), splits.num_shared_images) == (6, 2, 0)
    assert sorted(splits.train.images.ids + splits.val.images.ids) == [f"tiny_{n:03d}" for n in range(8)]


def add_copies(root, number: int) -> None:
    """Add copies of the first training images under other names to the training lists."""
    devkit = root / "VOCdevkit" / "VOC2009"
    ids = [f"noisy_{n:03d}" for n in range(number)]
    for image_id in ids:
        for path in devkit.glob(f"*/{image_id}.*"):
            shutil.copy(path, path.with_stem(f"copy-{image_id}"))
    path = devkit / "ImageSets" / "Segmentation" / "train.txt"
    path.write_text(path.read_text() + "".join(f"copy-{image_id}\n" for image_id in ids))


def test_copies_under_other_names_are_held_out_together(noisy_devkit, tmp_path):
    shutil.copytree(noisy_devkit, tmp_path / "noisy")
    add_copies(tmp_path / "noisy", 20)
    splits = open_splits(tmp_path / "noisy", "seg", folds=4)
    val_ids = set(splits.val.images.ids)
    assert {f"copy-{image_id}" for image_id in val_ids if not image_id.startswith("copy-")} <= val_ids
    assert splits.num_shared_images == 0


def test_copies_in_both_splits_are_counted(noisy_devkit, tmp_path):
    shutil.copytree(noisy_devkit, tmp_path / "noisy")
    devkit = tmp_path / "noisy" / "VOCdevkit" / "VOC2009"
    shutil.copy(devkit / "JPEGImages" / "noisy_000.jpg", devkit / "JPEGImages" / "noisy_022.jpg")
    assert open_splits(tmp_path / "noisy", "seg").num_shared_images == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 255], "no mask holds a class; 255 is void, classes are 1..20"),
        ([0], "no mask holds a class; 255 is void, classes are 1..20"),
        ([255], r"all masks are void \(255\) alone"),
    ],
)
@pytest.mark.parametrize(("split", "first"), [("train", 0), ("val", 8)])
def test_masks_without_a_class_are_an_error(tiny, split, first, labels, message):
    for number in range(first, 8 if split == "train" else 12):
        path = tiny / "VOCdevkit" / "VOC2009" / "SegmentationClass" / f"tiny_{number:03d}.png"
        write_mask(path, np.resize(labels, (32, 32)))
    with pytest.raises(DataError, match=rf"split {split}: {message} \(SegmentationClass/tiny_{first:03d}\.png, "):
        open_splits(tiny, "seg")


def test_split_without_masks_has_no_ground_truth(tiny):
    for path in (tiny / "VOCdevkit" / "VOC2009" / "SegmentationClass").iterdir():
        path.unlink()
    devkit = tiny / "VOCdevkit" / "VOC2009"
    (devkit / "ImageSets" / "Segmentation" / "val.txt").rename(devkit / "ImageSets" / "Segmentation" / "test.txt")
    with pytest.raises(DataError, match=r"split test of .* has no masks, so no ground truth: `vocctl predict`"):
        open_seg_split(open_dataset(tiny), "test", DataConfig(size=32))


def test_folds_do_not_depend_on_the_size(tiny):
    """The split is stratified by the masks at their original size.

    Three images have an object of a single pixel, which is lost when masks are downscaled to a quarter.
    """
    devkit = tiny / "VOCdevkit" / "VOC2009"
    for number in range(8):
        image = devkit / "JPEGImages" / f"tiny_{number:03d}.jpg"
        Image.open(image).resize((128, 128)).save(image)
        mask = devkit / "SegmentationClass" / f"tiny_{number:03d}.png"
        labels = read_mask(mask).repeat(4, 0).repeat(4, 1)
        labels[0, 0] = 9 if number in (0, 3, 6) else 0
        write_mask(mask, labels)
    small, large = (open_seg_splits(DataConfig(path=str(tiny), size=size, folds=2)).val.images for size in (32, 128))
    assert [any(9 in images.mask(index) for index in range(4)) for images in (small, large)] == [False, True]
    assert small.ids == large.ids


def test_fingerprint_depends_on_labels(tiny):
    before = open_splits(tiny).fingerprint
    assert open_splits(tiny).fingerprint == before
    path = tiny / "VOCdevkit" / "VOC2009" / "ImageSets" / "Main" / "cat_train.txt"
    path.write_text(path.read_text().replace("-1", " 1", 1))
    assert open_splits(tiny).fingerprint != before


def test_more_processes_than_training_images_is_an_error(tiny, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "9")
    with pytest.raises(
        ConfigError, match="8 training images cannot be divided among 9 processes: start fewer processes"
    ):
        open_splits(tiny)


def test_images_and_targets_stay_together(tiny):
    splits = open_splits(tiny, val=0.25)
    for split in (splits.train, splits.val):
        for index, image_id in enumerate(split.images.ids):
            assert split.targets[index].argmax() == int(image_id[-3:]) % 2
            pixels = split.images.image(index).reshape(-1, 3).astype(int)
            is_red = (pixels[:, 0] - pixels[:, 2]).max() > 80  # aeroplanes are red
            assert is_red == (split.targets[index].argmax() == 0)


def test_folds_cover_all_images_once(tiny):
    val_ids = [open_splits(tiny, folds=4, fold=fold).val.images.ids for fold in range(4)]
    assert sorted(image_id for ids in val_ids for image_id in ids) == [f"tiny_{n:03d}" for n in range(8)]


def test_a_validation_split_without_images_is_an_error(tiny):
    with pytest.raises(DataError, match=r"the validation split would have 0 of 8 images.*change --val or --folds"):
        open_splits(tiny, val=0.001)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"val": 1.0}, "val is a fraction"),
        ({"folds": 1}, "folds is 0"),
        ({"folds": 3, "fold": 3}, "fold is in"),
        ({"folds": 3, "val": 0.2}, "mutually exclusive"),
    ],
)
def test_invalid_settings_are_errors(settings, message):
    with pytest.raises(ConfigError, match=message):
        DataConfig(**settings)


@pytest.mark.parametrize("task", ["cls", "seg"])
def test_fingerprint_depends_on_validation_images(tiny, task):
    before = open_splits(tiny, task).fingerprint
    Image.new("RGB", (32, 32)).save(tiny / "VOCdevkit" / "VOC2009" / "JPEGImages" / "tiny_008.jpg")  # the first of val
    assert open_splits(tiny, task).fingerprint != before


class Images:
    """A source of images whose shorter sides are these."""

    def __init__(self, sides: list[int]) -> None:
        self.sides = sides
        self.num_read = 0

    def ids(self, split: str) -> list[str]:
        return [str(index) for index in range(len(self.sides))]

    def image(self, image_id: str) -> np.ndarray:
        self.num_read += 1
        side = self.sides[int(image_id)]
        return np.zeros((side, side + 100, 3), np.uint8)


@pytest.mark.parametrize(
    ("sides", "expected", "frozen"),
    [
        ([500] * 5, 288, 288), ([224] * 5, 224, 288), ([250] * 5, 224, 288), ([100] * 5, 96, 128), ([20], 32, 32),
        ([224, 224, 500], 224, 288), ([224, 500, 500], 288, 288),
    ],
)  # fmt: skip
def test_chosen_size(sides: list[int], expected: int, frozen: int) -> None:
    assert chosen_size(Images(sides), "train", freezes_encoder=False) == expected
    assert chosen_size(Images(sides), "train", freezes_encoder=True) == frozen


def test_the_size_is_chosen_by_a_part_of_many_images() -> None:
    images = Images([256] * 1050)
    assert chosen_size(images, "train", freezes_encoder=False) == 256
    assert images.num_read == 105
