"""Which images train and which validate."""

import pytest
from PIL import Image

from vocctl.config import DataConfig
from vocctl.data.images import read_mask, write_mask
from vocctl.data.splits import open_splits
from vocctl.errors import ConfigError, DataError


def opened(tiny, task="train-cls", **settings):
    return open_splits(DataConfig(path=str(tiny), size=32, **settings), task)


def test_the_data_sets_own(tiny):
    splits = opened(tiny)
    assert (len(splits.train.images), len(splits.val.images), splits.shared) == (8, 4, 0)
    assert splits.train.targets.sum(0)[:3].tolist() == [4, 4, 0]


def test_images_in_both_are_counted(tiny):
    assert opened(tiny, val_split="trainval").shared == 8


@pytest.mark.parametrize("task", ["train-cls", "train-seg"])
def test_a_share_held_out_has_every_class_and_is_the_same_each_time(tiny, task):
    first, again = opened(tiny, task, val=0.25), opened(tiny, task, val=0.25)
    assert first.val.images.ids == again.val.images.ids
    assert sorted(first.train.images.ids + first.val.images.ids) == [f"tiny_{n:03d}" for n in range(8)]
    numbers = [int(image_id[-3:]) % 2 for image_id in first.val.images.ids]
    assert sorted(numbers) == [0, 1]  # an aeroplane and a bicycle
    assert first.shared == 0


def test_the_parts_do_not_depend_on_the_size(tiny):
    """Objects of a single pixel, which a quarter of the size does not show."""
    devkit = tiny / "VOCdevkit" / "VOC2009"
    for number in range(8):
        image = devkit / "JPEGImages" / f"tiny_{number:03d}.jpg"
        Image.open(image).resize((128, 128)).save(image)
        mask = devkit / "SegmentationClass" / f"tiny_{number:03d}.png"
        labels = read_mask(mask).repeat(4, 0).repeat(4, 1)
        labels[0, 0] = 9 if number in (0, 3, 6) else 0
        write_mask(mask, labels)
    held = [open_splits(DataConfig(path=str(tiny), size=size, folds=2), "train-seg").val.images for size in (32, 128)]
    assert [any(9 in images.mask(place) for place in range(4)) for images in held] == [False, True]
    assert held[0].ids == held[1].ids


def test_labels_that_change_change_the_fingerprint(tiny):
    before = opened(tiny).fingerprint
    assert opened(tiny).fingerprint == before
    path = tiny / "VOCdevkit" / "VOC2009" / "ImageSets" / "Main" / "cat_train.txt"
    path.write_text(path.read_text().replace("-1", " 1", 1))
    assert opened(tiny).fingerprint != before


def test_more_processes_than_images_to_train_on(tiny, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "9")
    with pytest.raises(ConfigError, match="8 images to train on can't be shared by 9 processes: start fewer"):
        opened(tiny)


def test_images_and_targets_stay_together(tiny):
    splits = opened(tiny, val=0.25)
    for part in (splits.train, splits.val):
        for place, image_id in enumerate(part.images.ids):
            assert part.targets[place].argmax() == int(image_id[-3:]) % 2
            red = part.images.image(place).reshape(-1, 3)
            assert (red[:, 0].astype(int) - red[:, 2]).max() > 80 or part.targets[place].argmax() == 1


def test_folds_cover_all_images_once(tiny):
    held = [opened(tiny, folds=4, fold=fold).val.images.ids for fold in range(4)]
    assert sorted(image_id for ids in held for image_id in ids) == [f"tiny_{n:03d}" for n in range(8)]


def test_nothing_would_validate(tiny):
    with pytest.raises(DataError, match="mend --val or --folds"):
        opened(tiny, val=0.001)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"val": 1.0}, "val is a share"),
        ({"folds": 1}, "folds is 0"),
        ({"folds": 3, "fold": 3}, "fold is in"),
        ({"folds": 3, "val": 0.2}, "set one of them"),
    ],
)
def test_cuts_that_make_no_sense(settings, says):
    with pytest.raises(ConfigError, match=says):
        DataConfig(**settings)
