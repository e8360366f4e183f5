"""Class lists as targets: the devkit's, the competition's, and what is wrong with them."""

from pathlib import Path

import numpy as np
import pytest

from vocctl.data.competition import CompetitionData
from vocctl.data.multilabel import target_matrix, with_labels
from vocctl.data.source import open_dataset
from vocctl.errors import DataError
from vocctl.labels import CLASSES, IGNORE


def main_lists(tiny: Path) -> Path:
    return tiny / "VOCdevkit" / "VOC2009" / "ImageSets" / "Main"


def test_targets_follow_the_lists(tiny):
    source = with_labels(open_dataset(tiny))
    assert source.splits() == ("train", "trainval", "val")
    assert source.ids("val") == ["tiny_008", "tiny_009", "tiny_010", "tiny_011"]
    matrix = target_matrix(source, "val", ("tiny_009", "tiny_008"))
    assert matrix.shape == (2, 20)
    assert [np.flatnonzero(row).tolist() for row in matrix] == [[1], [0]]  # odd images hold bicycles, even aeroplanes
    assert source.mask_path("tiny_008") is None


def test_only_difficult_objects_become_ignore(tiny):
    path = main_lists(tiny) / "cat_val.txt"
    path.write_text(path.read_text().replace("tiny_008 -1", "tiny_008  0"))
    target = with_labels(open_dataset(tiny)).targets("val")["tiny_008"]
    assert target[CLASSES.index("cat")] == IGNORE
    assert sorted(set(target.tolist())) == [0, 1, IGNORE]


def test_a_image_needs_no_mask(tiny):
    next((tiny / "VOCdevkit" / "VOC2009" / "SegmentationClass").glob("*.png")).unlink()
    source = with_labels(open_dataset(tiny))
    assert source.image("tiny_000").shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda path: path.unlink(), r"cat_val.txt is missing: the splits with class lists are train, trainval, val"),
        (lambda path: path.write_text(""), "is empty"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "can't be read as text"),
        (lambda path: path.write_text("tiny_008 2\n"), r"line 1: an id and 1, 0 or -1 are due, got 'tiny_008 2'"),
        (lambda path: path.write_text("tiny_008\n"), "line 1"),
        (lambda path: path.write_text("../x 1\n"), "without its folder"),
        (lambda path: path.write_text("tiny_008 1\ntiny_008 -1\n"), "line 2: tiny_008 is listed twice"),
        (lambda path: path.write_text("tiny_008 1\n"), "differ in their images"),
        (lambda path: path.write_text(path.read_text() + "tiny_000 1\n"), r"differ in their images \(tiny_000\)"),
    ],
)
def test_lists_that_do_not_match(tiny, change, says):
    change(main_lists(tiny) / "cat_val.txt")
    with pytest.raises(DataError, match=says):
        with_labels(open_dataset(tiny)).targets("val")


def competition(tmp_path: Path, labels: str) -> CompetitionData:
    (tmp_path / "train").mkdir()
    head = ",".join(("Id", *CLASSES))
    rows = "".join(f"{n},{labels}\n" for n in range(5))
    (tmp_path / "train" / "train_set.csv").write_text(f"{head}\n{rows}")
    return CompetitionData(tmp_path)


def test_the_competitions_table(tmp_path):
    source = with_labels(competition(tmp_path, ",".join(["1"] * 3 + ["0"] * 17)))
    assert source.ids("val") == ["train_4"]
    assert source.targets("val")["train_4"].sum() == 3
    assert source.splits() == ("train", "val", "trainval")


def test_the_competitions_test_part_has_no_labels(tmp_path):
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "test_set.csv").write_text(",".join(("Id", *CLASSES)) + "\n0," + ",".join(["-1"] * 20) + "\n")
    with pytest.raises(DataError, match="keeps the labels of its test part"):
        with_labels(competition(tmp_path, ",".join(["1"] * 20))).targets("test")


def test_a_label_that_the_table_may_not_hold(tmp_path):
    with pytest.raises(DataError, match="not 0 and 1 alone"):
        with_labels(competition(tmp_path, ",".join(["-1"] * 20))).targets("train")
