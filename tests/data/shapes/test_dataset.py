"""The folder that is written: the devkit's layout, the same bytes for the same seed, no partial files."""

import hashlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from vocctl.data.shapes import draw_dataset
from vocctl.errors import ConfigError, DataError
from vocctl.labels import CLASSES, FLAT_PALETTE, IGNORE, SEG_CLASSES

TRAIN, VAL = 40, 20


def file_hashes(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def devkit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shapes") / "drawn"
    draw_dataset(root, seed=5, train=TRAIN, val=VAL)
    return root / "VOCdevkit" / "VOC2009"


def ids(devkit: Path, split: str, folder: str = "Segmentation") -> list[str]:
    return (devkit / "ImageSets" / folder / f"{split}.txt").read_text().split()


def objects(devkit: Path, name: str) -> list[tuple[str, bool]]:
    """Class and difficult flag of each object of an annotation."""
    tree = ElementTree.parse(devkit / "Annotations" / f"{name}.xml")
    return [(node.findtext("name", ""), node.findtext("difficult") == "1") for node in tree.iter("object")]


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("first", 1), ("same_seed", 1), ("other_seed", 2)):
        draw_dataset(tmp_path / name, seed=seed, train=4, val=2)
    first, same_seed, other_seed = (file_hashes(tmp_path / name) for name in ("first", "same_seed", "other_seed"))
    assert first == same_seed
    assert len(first) == 6 * 4 + 3 + 3 + 20 * 3  # four files per image, the lists of the splits and of the classes
    images = [path for path in first if path.endswith(".jpg")]
    assert all(first[path] != other_seed[path] for path in images)


def test_an_image_depends_only_on_its_number_and_the_seed(tmp_path: Path) -> None:
    draw_dataset(tmp_path / "short", seed=1, train=2, val=1)
    draw_dataset(tmp_path / "long", seed=1, train=3, val=3)
    short, long = file_hashes(tmp_path / "short"), file_hashes(tmp_path / "long")
    shared = [path for path in short if "ImageSets" not in path]
    assert len(shared) == 3 * 4
    assert all(short[path] == long[path] for path in shared)


def test_layout_and_splits(devkit: Path) -> None:
    train, val, both = (ids(devkit, split) for split in ("train", "val", "trainval"))
    assert (len(train), len(val)) == (TRAIN, VAL)
    assert train + val == both
    assert len(set(both)) == TRAIN + VAL
    assert both[0] == "shapes_000001"
    for folder, suffix in (
        ("JPEGImages", "jpg"),
        ("SegmentationClass", "png"),
        ("SegmentationObject", "png"),
        ("Annotations", "xml"),
    ):
        assert sorted(path.name for path in (devkit / folder).iterdir()) == [f"{name}.{suffix}" for name in both]
    for split in ("train", "val", "trainval"):
        assert ids(devkit, split, "Main") == ids(devkit, split)


def test_masks_have_a_palette_and_the_classes_of_the_annotation(devkit: Path) -> None:
    for name in ids(devkit, "trainval"):
        with (
            Image.open(devkit / "SegmentationClass" / f"{name}.png") as mask,
            Image.open(devkit / "JPEGImages" / f"{name}.jpg") as image,
        ):
            assert (mask.mode, image.mode) == ("P", "RGB")
            assert mask.size == image.size
            assert mask.getpalette() == FLAT_PALETTE
            labels = set(np.unique(np.array(mask)).tolist())
        assert IGNORE in labels
        assert labels - {0, IGNORE} == {SEG_CLASSES.index(class_name) for class_name, _ in objects(devkit, name)}


def test_annotations_name_their_image_and_its_size(devkit: Path) -> None:
    for name in ids(devkit, "val"):
        tree = ElementTree.parse(devkit / "Annotations" / f"{name}.xml")
        with Image.open(devkit / "JPEGImages" / f"{name}.jpg") as image:
            assert (tree.findtext("size/width"), tree.findtext("size/height")) == tuple(map(str, image.size))
        assert (tree.findtext("folder"), tree.findtext("filename"), tree.findtext("segmented")) == (
            "VOC2009",
            f"{name}.jpg",
            "1",
        )


@pytest.mark.parametrize("split", ["train", "val", "trainval"])
def test_main_lists_agree_with_the_annotations(devkit: Path, split: str) -> None:
    values = set()
    for class_name in CLASSES:
        rows = (devkit / "ImageSets" / "Main" / f"{class_name}_{split}.txt").read_text().splitlines()
        assert [row.split()[0] for row in rows] == ids(devkit, split)
        for row in rows:
            name, value = row.split()
            assert row == f"{name} {value:>2}"
            flags = [difficult for object_class, difficult in objects(devkit, name) if object_class == class_name]
            assert int(value) == (-1 if not flags else 0 if all(flags) else 1)
            values.add(value)
    assert values == {"1", "0", "-1"}  # some images show only difficult objects of a class


def test_every_class_is_in_both_splits(devkit: Path) -> None:
    for split in ("train", "val"):
        assert {class_name for name in ids(devkit, split) for class_name, _ in objects(devkit, name)} == set(CLASSES)


def test_an_existing_folder_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(DataError, match="exists: choose a new folder"):
        draw_dataset(tmp_path, train=1, val=1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"train": 0}, {"val": 0}])
def test_an_empty_split_or_a_negative_seed_is_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="got"):
        draw_dataset(tmp_path / "drawn", **wrong)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_draw_leaves_no_folder_and_a_second_one_succeeds(tmp_path: Path) -> None:
    root, calls = tmp_path / "drawn", []

    def interrupt(done: int, total: int) -> None:
        calls.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_dataset(root, train=2, val=1, on_image=interrupt)
    assert calls == [(1, 3), (2, 3)]
    assert not root.exists()
    draw_dataset(root, train=2, val=1)
    assert [path.name for path in tmp_path.iterdir()] == ["drawn"]
    assert len(list(root.rglob("*.jpg"))) == 3


def test_mean_colors_do_not_identify_the_classes(devkit: Path) -> None:
    """A pixel gets the class whose mean RGB over train is nearest: mean IoU over the 21 classes of val, without void."""

    def pixels(split: str) -> tuple[np.ndarray, np.ndarray]:
        colors, labels = [], []
        for name in ids(devkit, split):
            with (
                Image.open(devkit / "JPEGImages" / f"{name}.jpg") as image,
                Image.open(devkit / "SegmentationClass" / f"{name}.png") as mask,
            ):
                colors.append(np.array(image, np.float32)[::2, ::2].reshape(-1, 3))
                labels.append(np.array(mask)[::2, ::2].ravel())
        color, label = np.concatenate(colors), np.concatenate(labels)
        return color[label != IGNORE], label[label != IGNORE]

    color, label = pixels("train")
    means = np.stack([color[label == k].mean(0) for k in range(21)])
    color, label = pixels("val")
    predicted = np.stack([((color - mean) ** 2).sum(1) for mean in means], 1).argmin(1)
    confusion = np.bincount(label.astype(int) * 21 + predicted, minlength=441).reshape(21, 21)
    iou = confusion.diagonal() / (confusion.sum(0) + confusion.sum(1) - confusion.diagonal())
    assert iou.mean() < 0.25
