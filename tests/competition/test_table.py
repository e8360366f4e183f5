"""The csv: written and read back, long rows, and merging a classification with a segmentation file."""

import csv
from pathlib import Path

import numpy as np
import pytest

from vocctl.competition.rle import encode_label_map
from vocctl.competition.table import merge, read_table, write_table
from vocctl.errors import DataError, RunError

ROWS = [
    ("0_classification", "1 1 15 2"),
    ("0_segmentation", "4 1 8 2 12 1"),
    ("1_classification", "20 1"),
    ("1_segmentation", "77 4"),
]


def test_written_and_read_back(tmp_path):
    path = tmp_path / "new" / "submission.csv"
    write_table(path, ROWS)
    expected = "Id,Predicted\n0_classification,1 1 15 2\n0_segmentation,4 1 8 2 12 1\n1_classification,20 1\n"
    assert path.read_bytes() == (expected + "1_segmentation,77 4\n").encode()
    assert read_table(path) == dict(ROWS)
    assert list(path.parent.iterdir()) == [path]


def test_a_row_longer_than_the_csv_modules_limit(tmp_path):
    limit = csv.field_size_limit()
    labels = (np.indices((400, 400)).sum(0) % 2).astype(np.uint8)  # a chessboard: 80,000 runs, 700 kB
    text = str(encode_label_map(labels))
    assert len(text) > limit
    write_table(tmp_path / "long.csv", [("0_segmentation", text)])
    assert read_table(tmp_path / "long.csv") == {"0_segmentation": text}
    assert csv.field_size_limit() == limit  # the limit of other users of csv


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"0_classification,1 1\n", "does not begin with Id,Predicted"),
        (b"", "does not begin with Id,Predicted"),
        (b"Id,Predicted\n0_classification,1 1\n0_classification,2 1\n", "line 3: expected a new name"),
        (b"Id,Predicted\n0_classification\n", "line 2: expected a new name"),
        (b"\x93NUMPY\xff\xfe\x00", "cannot be read as text"),
        (b'Id,Predicted\n"0_class', "line 2: not a csv"),
    ],
)
def test_files_that_are_not_submissions(tmp_path, text, message):
    (tmp_path / "wrong.csv").write_bytes(text)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "wrong.csv")


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="is not a file"):
        read_table(tmp_path / "missing.csv")


def test_merge_takes_the_rows_of_each_file(tmp_path):
    write_table(tmp_path / "cls.csv", [(name, runs if "class" in name else "") for name, runs in ROWS])
    write_table(tmp_path / "seg.csv", [(name, runs) for name, runs in reversed(ROWS) if "seg" in name])
    assert merge(tmp_path / "cls.csv", tmp_path / "seg.csv") == ROWS
    names = [name for name, _ in reversed(ROWS)]
    assert merge(tmp_path / "cls.csv", tmp_path / "seg.csv", names) == list(reversed(ROWS))


def test_files_of_different_images_are_not_merged(tmp_path):
    write_table(tmp_path / "cls.csv", ROWS)
    write_table(tmp_path / "fewer.csv", ROWS[:2])
    with pytest.raises(DataError, match=r"fewer\.csv has no row 1_segmentation"):
        merge(tmp_path / "cls.csv", tmp_path / "fewer.csv")
    write_table(tmp_path / "more.csv", [*ROWS, ("2_segmentation", "1 1")])
    with pytest.raises(DataError, match="have different images"):
        merge(tmp_path / "cls.csv", tmp_path / "more.csv")


def test_a_full_disk_leaves_no_partial_file(tmp_path, monkeypatch):
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(RunError, match="No space left"):
        write_table(tmp_path / "submission.csv", ROWS)
    assert list(tmp_path.iterdir()) == []
