"""Problems of lists that only the contents of images, masks and labels show."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vocctl.data.audit import audit
from vocctl.data.images import read_mask, write_mask
from vocctl.labels import CLASSES

NO_CLASS = "no mask holds a class; 255 is void, classes are 1..20"


def fill_masks(devkit: Path, ids: str, labels: list[int]) -> None:
    for image_id in ids:
        write_mask(devkit / "SegmentationClass" / f"{image_id}.png", np.resize(labels, (6, 8)))


@pytest.mark.parametrize("labels", [[0, 255], [0], [255]])
def test_no_mask_holds_a_class(devkit, labels):
    fill_masks(devkit, "abc", labels)
    (problem,) = audit(devkit).problems
    assert (problem.path, problem.reason) == (devkit, NO_CLASS)


@pytest.mark.parametrize(("labels", "content"), [([0, 255], NO_CLASS), ([255], "all masks are void (255) alone")])
def test_split_whose_masks_hold_no_class(devkit, labels, content):
    fill_masks(devkit, "ab", labels)
    (problem,) = audit(devkit).problems
    assert (problem.path.name, problem.reason) == ("train.txt", f"lists a, b: {content}")


def test_single_void_mask_is_a_note(devkit):
    fill_masks(devkit, "a", [255])
    report = audit(devkit)
    assert report.problems == ()
    assert {(note.path.name, note.reason) for note in report.notes} == {
        (name, "lists a with nothing but void (255) in the mask: not trained on, not scored")
        for name in ("train.txt", "trainval.txt")
    }


def exchange_labels(root: Path, ids: list[str]) -> None:
    """Make aeroplanes (1) of bicycles (2) in the masks, and the reverse."""
    for image_id in ids:
        path = root / "VOCdevkit" / "VOC2009" / "SegmentationClass" / f"{image_id}.png"
        mask = read_mask(path)
        write_mask(path, np.array([0, 2, 1, *range(3, 256)], np.uint8)[mask])


def test_masks_that_are_numbered_otherwise_contradict_the_class_lists(tiny):
    exchange_labels(tiny, [f"tiny_{number:03d}" for number in range(7)])
    (problem,) = audit(tiny).problems
    assert problem.path.name == "VOC2009"
    assert problem.reason.startswith(
        "has masks that contradict the class lists: 7 of 12 hold a class that the lists deny (tiny_000: bicycle, "
        "tiny_001: aeroplane, tiny_002: bicycle and 4 more): number the labels in the masks as VOC"
    )


def test_single_masks_that_contradict_the_class_lists_are_a_note(tiny):
    exchange_labels(tiny, ["tiny_002"])
    report = audit(tiny)
    assert report.problems == ()
    assert [note.reason for note in report.notes] == [
        "has 1 masks of 12 with a class that the class lists deny (tiny_002: bicycle)"
    ]


def test_palettes_of_other_colors_are_a_note(devkit):
    for image_id in "ab":
        mask = Image.fromarray(np.resize([0, 1, 2, 255], (6, 8)).astype(np.uint8))
        mask.putpalette([0, 0, 0, 10, 200, 30, 40, 50, 60])
        mask.save(devkit / "SegmentationClass" / f"{image_id}.png")
    report = audit(devkit)
    assert report.problems == ()
    (note,) = report.notes
    assert note.reason.startswith(
        "has 2 masks whose palettes have other colors than VOC's (a, b): the indices are read"
    )


def test_masks_of_0_and_1_are_a_note(devkit):
    fill_masks(devkit, "abc", [0, 1, 255])
    report = audit(devkit)
    assert report.problems == ()
    assert [note.reason for note in report.notes] == [
        "has no class but aeroplane (1) in its masks: check that 1 does not stand for all objects"
    ]


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_one_image_under_two_names_in_train_and_val(devkit, ending):
    images = devkit / "JPEGImages"
    if ending == "jpg":
        shutil.copy(images / "a.jpg", images / "c.jpg")
    else:  # another file of the same pixels
        (images / "c.jpg").unlink()
        Image.open(images / "a.jpg").save(images / "c.png")
    problems = audit(devkit).problems
    leak = "the same image under another name leaks into the score, so remove it from one list"
    assert {(problem.path.parent.name, problem.path.name, problem.reason) for problem in problems} == {
        (lists, "val.txt", f"lists c (in {lists}/train: a): {leak}") for lists in ("Main", "Segmentation")
    }


def test_images_of_one_color_are_not_copies(devkit):
    for image_id in "ac":
        Image.new("RGB", (8, 6)).save(devkit / "JPEGImages" / f"{image_id}.jpg")
    assert audit(devkit).problems == ()


@pytest.mark.parametrize("name", ["test", "test2012"])
def test_a_test_split_without_masks_is_known(devkit, name):
    lists = devkit / "ImageSets" / "Segmentation"
    (devkit / "SegmentationClass" / "c.png").unlink()
    (lists / "val.txt").rename(lists / f"{name}.txt")
    (lists / "trainval.txt").unlink()
    report = audit(devkit)
    assert report.problems == ()
    assert [(note.path.name, note.reason) for note in report.notes] == [
        (f"{name}.txt", "is a test split without masks: it can be predicted, but not scored")
    ]


def test_a_test_split_with_some_masks_misses_the_others(devkit):
    lists = devkit / "ImageSets" / "Segmentation"
    (lists / "train.txt").rename(lists / "test.txt")
    (lists / "trainval.txt").unlink()
    (devkit / "SegmentationClass" / "a.png").unlink()
    (problem,) = audit(devkit).problems
    assert problem.path.name == "a.png"


def test_no_image_shows_a_class_by_the_lists(devkit):
    for name in CLASSES:
        (devkit / "ImageSets" / "Main" / f"{name}_train.txt").write_text("a -1\nb  0\n")
    (problem,) = audit(devkit).problems
    assert problem.reason == "no image of the split train shows a class by its labels: replace its class lists"


def test_lists_with_0_for_absent(tiny):
    """0 means difficult, so that nothing would be learned about absent classes, and nothing scored."""
    for path in (tiny / "VOCdevkit" / "VOC2009" / "ImageSets" / "Main").glob("*_train.txt"):
        path.write_text(path.read_text().replace("-1", "0"))
    (problem,) = audit(tiny).problems
    assert problem.reason.startswith("split train: no class is absent (-1) in any image; 0 means difficult")


def test_class_lists_of_different_images(tiny):
    lists = tiny / "VOCdevkit" / "VOC2009" / "ImageSets" / "Main"
    (lists / "cat_train.txt").write_text("tiny_000  1\n")
    (problem,) = audit(tiny).problems
    assert "cat_train.txt and aeroplane_train.txt list different images (tiny_001)" in problem.reason


def test_images_that_only_class_lists_name_are_read(tiny):
    devkit = tiny / "VOCdevkit" / "VOC2009"
    for path in (devkit / "ImageSets" / "Main").glob("*_train.txt"):
        path.write_text(path.read_text() + "gone -1\n")
    (problem,) = audit(tiny).problems
    assert (problem.path.name, problem.reason) == (
        "gone.jpg", "is missing: add the file, or remove it from the lists"
    )  # fmt: skip


def test_repeated_rows_of_a_class_list(devkit):
    path = devkit / "ImageSets" / "Main" / "person_train.txt"
    path.write_text("a  1\nb -1\na  1\nb  1\n")
    assert [problem.reason for problem in audit(devkit).problems] == [
        "line 4: b is listed twice with different values: fix the list",
        "lists a more than once: remove the duplicates",
    ]


def test_masks_are_read_once(devkit, monkeypatch):
    reads: list[Path] = []
    monkeypatch.setattr("vocctl.data.voc.read_mask", lambda path: reads.append(path) or read_mask(path))
    audit(devkit)
    assert len(reads) == 3
