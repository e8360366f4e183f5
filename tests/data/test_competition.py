"""The competition's layout: its tables, its splits and ours."""

from pathlib import Path

import numpy as np
import pytest

from vocctl.data.competition import CompetitionData, is_competition, read_table
from vocctl.errors import DataError
from vocctl.labels import CLASSES

HEAD = ",".join(("Id", *CLASSES)) + "\n"


def row(number: int, label: str = "0") -> str:
    return ",".join([str(number), *[label] * 20]) + "\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve training images and two test images, (4, 5); the mask of image n holds n."""
    root = tmp_path / "comp"
    for folder in ("train/img", "train/seg", "test/img"):
        (root / folder).mkdir(parents=True)
    (root / "train" / "train_set.csv").write_text(HEAD + "".join(row(n, "1") for n in range(12)))
    (root / "test" / "test_set.csv").write_text(HEAD + row(0, "-1") + row(1, "-1"))
    for n in range(12):
        np.save(root / "train" / "img" / f"train_{n}.npy", np.full((4, 5, 3), n, np.uint8))
        np.save(root / "train" / "seg" / f"train_{n}.npy", np.full((4, 5), n, np.uint8))
    for n in range(2):
        np.save(root / "test" / "img" / f"test_{n}.npy", np.full((4, 5, 3), 100 + n, np.uint8))
    return root


def test_known_by_its_table(root, tmp_path):
    assert is_competition(root)
    assert not is_competition(tmp_path)


def test_every_fifth_training_image_is_held_out(root):
    data = CompetitionData(root)
    assert data.ids("val") == ["train_4", "train_9"]
    assert data.ids("train") == [f"train_{n}" for n in (0, 1, 2, 3, 5, 6, 7, 8, 10, 11)]
    assert data.ids("trainval") == [f"train_{n}" for n in range(12)]
    assert data.ids("test") == ["test_0", "test_1"]
    assert data.splits() == ("train", "val", "trainval", "test")


def test_held_out_by_place_in_the_table_not_by_id(root):
    table = root / "train" / "train_set.csv"
    table.write_text(HEAD + "".join(row(n) for n in (11, 3, 7, 0, 5, 1)))
    assert CompetitionData(root).ids("val") == ["train_5"]
    assert CompetitionData(root).ids("train") == ["train_11", "train_3", "train_7", "train_0", "train_1"]


def test_images_and_masks(root):
    data = CompetitionData(root)
    assert (data.image("train_3") == 3).all()
    assert data.image("test_1").shape == (4, 5, 3)
    assert (data.image("test_1") == 101).all()
    assert (data.mask("train_7") == 7).all()
    assert data.mask_path("test_1") is None
    assert (data.name, data.layout) == ("comp", "competition .npy")


def test_the_test_part_has_no_masks(root):
    with pytest.raises(DataError, match="test_0 has no mask"):
        CompetitionData(root).mask("test_0")


def test_a_mask_with_a_label_of_its_own(root):
    np.save(root / "train" / "seg" / "train_3.npy", np.full((4, 5), 21, np.uint8))
    with pytest.raises(DataError, match=r"train_3\.npy holds label 21"):
        CompetitionData(root).mask("train_3")


def test_splits_that_are_not_there_or_empty(root):
    with pytest.raises(DataError, match="has no split 'valid': it has train, val, trainval, test"):
        CompetitionData(root).ids("valid")
    (root / "train" / "train_set.csv").write_text(HEAD + "".join(row(n) for n in range(4)))
    with pytest.raises(DataError, match="split 'val' is empty, it takes five training images"):
        CompetitionData(root).ids("val")


def test_a_table(root):
    assert read_table(root / "test" / "test_set.csv") == {"0": (-1,) * 20, "1": (-1,) * 20}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not start with Id and the 20 class names"),
        (HEAD.replace("aeroplane,bicycle", "bicycle,aeroplane") + row(0), "does not start with Id"),
        (HEAD, "is empty"),
        (HEAD + row(0) + row(0), "line 3: an id of its own"),
        (HEAD + row(0) + "1,0,1\n", "line 3: an id of its own and 20 labels"),
        (HEAD + row(0).replace("0,", "../a,", 1), "line 2: an id of its own"),
        (HEAD + row(0, "x"), "line 2: labels are 0, 1 or -1"),
    ],
)
def test_tables_that_are_refused(tmp_path, text, message):
    path = tmp_path / "train_set.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_a_table_that_is_missing(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv is missing"):
        read_table(tmp_path / "none.csv")


def test_a_table_that_is_no_text(tmp_path):
    path = tmp_path / "train_set.csv"
    path.write_bytes(HEAD.encode() + b"\xff\xfe\x00\n")
    with pytest.raises(DataError, match=r"train_set\.csv can't be read as a table"):
        read_table(path)
