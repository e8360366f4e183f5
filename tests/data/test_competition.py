"""The competition's folder: its tables, its splits and ours, labels, and the ground truth of a mock competition."""

from pathlib import Path

import numpy as np
import pytest

from vocctl.data.competition import CompetitionData, is_competition, read_table
from vocctl.errors import DataError
from vocctl.labels import CLASSES

HEADER = ",".join(("Id", *CLASSES)) + "\n"


def row(number: int, label: str = "0") -> str:
    return ",".join([str(number), *[label] * 20]) + "\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve training images and two test images, (4, 5); the mask of image n holds n."""
    root = tmp_path / "comp"
    for folder in ("train/img", "train/seg", "test/img"):
        (root / folder).mkdir(parents=True)
    (root / "train" / "train_set.csv").write_text(HEADER + "".join(row(n, "1") for n in range(12)))
    (root / "test" / "test_set.csv").write_text(HEADER + row(0, "-1") + row(1, "-1"))
    for n in range(12):
        np.save(root / "train" / "img" / f"train_{n}.npy", np.full((4, 5, 3), n, np.uint8))
        np.save(root / "train" / "seg" / f"train_{n}.npy", np.full((4, 5), n, np.uint8))
    for n in range(2):
        np.save(root / "test" / "img" / f"test_{n}.npy", np.full((4, 5, 3), 100 + n, np.uint8))
    return root


def test_folder_is_recognized_by_its_table(root, tmp_path):
    assert is_competition(root)
    assert not is_competition(tmp_path)


def test_every_fifth_training_image_is_in_val(root):
    data = CompetitionData(root)
    assert data.ids("val") == ["train_4", "train_9"]
    assert data.ids("train") == [f"train_{n}" for n in (0, 1, 2, 3, 5, 6, 7, 8, 10, 11)]
    assert data.ids("trainval") == [f"train_{n}" for n in range(12)]
    assert data.ids("test") == ["test_0", "test_1"]
    assert data.splits() == ("train", "val", "trainval", "test")


def test_val_follows_the_order_of_the_table_not_the_ids(root):
    table = root / "train" / "train_set.csv"
    table.write_text(HEADER + "".join(row(n) for n in (11, 3, 7, 0, 5, 1)))
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


def test_test_images_have_no_masks(root):
    with pytest.raises(DataError, match="test_0 has no mask"):
        CompetitionData(root).mask("test_0")


def test_mask_with_an_invalid_label(root):
    np.save(root / "train" / "seg" / "train_3.npy", np.full((4, 5), 21, np.uint8))
    with pytest.raises(DataError, match=r"train_3\.npy has label 21"):
        CompetitionData(root).mask("train_3")


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, ">i4"])
def test_mask_of_integers(root, dtype):
    np.save(root / "train" / "seg" / "train_3.npy", np.full((4, 5), 15, dtype))
    mask = CompetitionData(root).mask("train_3")
    assert (mask.dtype, mask.tolist()) == (np.uint8, [[15] * 5] * 4)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.full((4, 5), -1), r"train_3\.npy has label -1"),
        (np.full((4, 5), 256 + 15), r"train_3\.npy has label 271"),
        (np.zeros((4, 5), np.float32), "is float32 of shape"),
        (np.zeros((4, 5), bool), "is bool of shape"),
        (np.zeros((1, 4, 5), np.uint8), r"expected a uint8 array of 2 dimensions, \(height, width\)"),
    ],
)
def test_mask_of_another_type_or_layout(root, mask, message):
    np.save(root / "train" / "seg" / "train_3.npy", mask)
    with pytest.raises(DataError, match=message):
        CompetitionData(root).mask("train_3")


@pytest.mark.parametrize(
    "image", [np.zeros((3, 4, 5), np.uint8), np.zeros((4, 5), np.uint8), np.zeros((4, 5, 3), np.float64)]
)
def test_image_of_another_type_or_layout(root, image):
    np.save(root / "train" / "img" / "train_3.npy", image)
    with pytest.raises(
        DataError, match=r"train_3\.npy is .* expected a uint8 array of 3 dimensions, \(height, width, 3\)"
    ):
        CompetitionData(root).image("train_3")


def test_missing_and_empty_splits(root):
    with pytest.raises(DataError, match="has no split 'valid': it has train, val, trainval, test"):
        CompetitionData(root).ids("valid")
    (root / "train" / "train_set.csv").write_text(HEADER + "".join(row(n) for n in range(4)))
    with pytest.raises(DataError, match="split 'val' is empty, it needs at least 5 training images"):
        CompetitionData(root).ids("val")


def test_read_table(root):
    assert read_table(root / "test" / "test_set.csv") == {"0": (-1,) * 20, "1": (-1,) * 20}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not start with Id and the 20 class names"),
        (HEADER.replace("aeroplane,bicycle", "bicycle,aeroplane") + row(0), "does not start with Id"),
        (HEADER, "is empty"),
        (HEADER + row(0, "1") + row(0, "0"), "line 3: Id 0 is listed twice with different labels"),
        (HEADER + row(0) + "1,0,1\n", "line 3: expected a new numeric id and 20 labels"),
        (HEADER + row(0).replace("0,", "../a,", 1), "line 2: expected a new numeric id"),
        (HEADER + row(0, "x"), "line 2: labels are 0, 1 or -1"),
    ],
)
def test_invalid_tables(tmp_path, text, message):
    path = tmp_path / "train_set.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + HEADER + row(0) + row(1),
        HEADER + row(0) + row(1) + "\n\n",
        HEADER + row(0) + row(1) + "," * 20 + "\n",  # a blank row of a spreadsheet
        HEADER + row(0) + row(1) + row(0),
        (HEADER + row(0) + row(1)).replace("\n", "\r\n"),
        (HEADER + row(0) + row(1)).replace(",", ", "),
        HEADER.title().replace("Id", "ID") + row(0, "0.0") + row(1, "1.0"),
    ],
)
def test_tables_of_other_programs(tmp_path, text):
    path = tmp_path / "train_set.csv"
    path.write_bytes(text.encode())
    assert list(read_table(path)) == ["0", "1"]


def test_repeated_rows_are_noted_and_are_problems(root, caplog):
    path = root / "train" / "train_set.csv"
    path.write_text(path.read_text() + row(7, "1") + row(3, "1"))
    assert len(CompetitionData(root).ids("trainval")) == 12
    assert "train_set.csv lists 3, 7 more than once: each image is used once" in caplog.text
    problems = list(CompetitionData(root).label_problems())
    assert [problem.reason for problem in problems] == ["lists Id 3, 7 more than once: remove the duplicates"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER.replace(",", ";") + row(0).replace(",", ";"), "replace it, with commas instead of semicolons"),
        (HEADER + row(0).replace("0,", "1E+05,", 1), "line 2: .*; a spreadsheet has changed the id"),
    ],
)
def test_changes_made_by_spreadsheets_are_errors(tmp_path, text, message):
    (tmp_path / "train_set.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "train_set.csv")


def test_missing_table(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv is missing"):
        read_table(tmp_path / "none.csv")


def test_table_that_is_not_text(tmp_path):
    path = tmp_path / "train_set.csv"
    path.write_bytes(HEADER.encode() + b"\xff\xfe\x00\n")
    with pytest.raises(DataError, match=r"train_set\.csv cannot be read as a table"):
        read_table(path)


def test_labels(root):
    data = CompetitionData(root)
    assert data.label_splits() == ("train", "val", "trainval")
    labels = data.labels("val")
    assert list(labels) == ["train_4", "train_9"]
    assert labels["train_4"].tolist() == [1] * 20
    assert labels["train_4"].dtype == np.uint8


def test_test_images_have_no_labels(root):
    with pytest.raises(DataError, match="withholds the labels of test images"):
        CompetitionData(root).labels("test")


def test_training_label_of_minus_1(root):
    table = root / "train" / "train_set.csv"
    table.write_text(HEADER + "".join(row(n, "-1" if n == 4 else "1") for n in range(12)))
    with pytest.raises(DataError, match="the labels of train_4 are not all 0 or 1"):
        CompetitionData(root).labels("val")
    CompetitionData(root).labels("train")


def test_ids_in_a_submission(root):
    data = CompetitionData(root)
    assert (data.test_split, data.has_public_test_masks) == ("test", False)
    assert data.test_ids() == {"0": "test_0", "1": "test_1"}


@pytest.fixture
def solution(root: Path) -> Path:
    """Ground truth of the two test images: masks of 7 and 8, and labels that differ from them."""
    folder = root / "solution"
    (folder / "seg").mkdir(parents=True)
    (folder / "test_set.csv").write_text(HEADER + row(0, "1") + row(1, "0"))
    for n in range(2):
        np.save(folder / "seg" / f"test_{n}.npy", np.full((4, 5), 7 + n, np.uint8))
    return folder


def test_ground_truth_is_in_the_solution(root, solution):
    (classes, mask), (other_classes, other_mask) = CompetitionData(root).test_truth(["test_0", "test_1"])
    assert (classes.all(), other_classes.any()) == (True, False)
    assert classes.dtype == bool
    assert ((mask == 7).all(), (other_mask == 8).all()) == (True, True)


def test_ground_truth_without_a_solution(root):
    with pytest.raises(DataError, match=r"has no solution, the competition withholds it.*--truth.*--from"):
        list(CompetitionData(root).test_truth(["test_0"]))


def test_invalid_solution(root, solution):
    with pytest.raises(DataError, match="has no test_2: build the mock competition again"):
        list(CompetitionData(root).test_truth(["test_0", "test_2"]))
    (solution / "test_set.csv").write_text(HEADER + row(0, "1") + row(1, "-1"))
    with pytest.raises(DataError, match="labels that are not 0 or 1"):
        list(CompetitionData(root).test_truth(["test_0"]))
