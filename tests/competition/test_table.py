"""The csv: written and read back; every kind of wrong is answered with the row and the reason."""

import csv
from pathlib import Path

import numpy as np
import pytest

from vocctl.competition.rle import encode_label_map
from vocctl.competition.table import RequiredRow, check_file, merge, read_table, row_names, write_table
from vocctl.errors import DataError, RunError

SIZES = {"0": (2, 3), "1": (2, 2)}  # places of a mask: 20 * 6 = 120 and 20 * 4 = 80
DUE = [RequiredRow(name, *SIZES[name.split("_")[0]]) for name in row_names(list(SIZES))]
RIGHT = [
    ("0_classification", "1 1 15 2"),
    ("0_segmentation", "4 1 8 2 12 1"),  # class 1: its 4th pixel; class 2: its 2nd, 3rd and 6th
    ("1_classification", "20 1"),
    ("1_segmentation", "77 4"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    write_table(path, RIGHT)
    return path


def test_a_right_file(file):
    assert check_file(file, DUE) == []
    assert file.read_text().splitlines()[:2] == ["Id,Predicted", "0_classification,1 1 15 2"]
    assert read_table(file) == dict(RIGHT)
    assert not list(file.parent.glob("*.part"))


def changed(place: int, text: str) -> list[tuple[str, str]]:
    return [(name, text if number == place else runs) for number, (name, runs) in enumerate(RIGHT)]


@pytest.mark.parametrize(
    ("rows", "line", "name", "said"),
    [
        (changed(0, ""), 2, "0_classification", "is empty, which scores 0"),
        (changed(1, "   "), 3, "0_segmentation", "is empty, which scores 0"),
        (changed(0, "1 1 15"), 2, "0_classification", "3 numbers: pairs"),
        (changed(0, "1 x"), 2, "0_classification", "'x' is no number"),
        (changed(0, "1.0 2.0"), 2, "0_classification", "'1.0' is no number"),
        (changed(0, "-3 2"), 2, "0_classification", "'-3' is no number"),
        (changed(0, "0 2"), 2, "0_classification", "starts count from 1"),
        (changed(0, "3 0"), 2, "0_classification", "no run is empty"),
        (changed(0, "20 2"), 2, "0_classification", "goes on to 21, past 20 (the 20 classes)"),
        (changed(1, "119 3"), 3, "0_segmentation", "goes on to 121, past 120 (20 x 2 x 3)"),
        (changed(1, "4 1 3 1"), 3, "0_segmentation", "not sorted: run 2 starts at 3"),
        (changed(1, "4 1 4 1"), 3, "0_segmentation", "not sorted: run 2 starts at 4"),
        (changed(1, "4 3 6 1"), 3, "0_segmentation", "runs 1 and 2 overlap at 6"),
        (changed(1, "4 1 10 1"), 3, "0_segmentation", "row 1, column 0 to bicycle and to another class"),
        (changed(1, "1 " + "9" * 40), 3, "0_segmentation", "is no number"),
        (RIGHT[:3], 0, "", "3 rows, 4 are due: 1_segmentation are missing"),
        (RIGHT[:2], 0, "", "1_classification, 1_segmentation are missing"),
        ([*RIGHT, RIGHT[1]], 6, "0_segmentation", "is on line 3 already"),
        ([*RIGHT, ("7_segmentation", "1 1")], 6, "7_segmentation", "is no row of this competition"),
        ([*RIGHT, ("0", "1 1")], 6, "0", "has no half: 0_classification and 0_segmentation are due"),
        ([*RIGHT, (" 0_classification", "1 1")], 6, " 0_classification", "spaces around its id"),
        ([RIGHT[1], RIGHT[0], *RIGHT[2:]], 2, "0_segmentation", "stands where 0_classification is due"),
    ],
)
def test_every_kind_of_wrong_row(tmp_path, rows, line, name, said):
    write_table(tmp_path / "wrong.csv", rows)
    faults = check_file(tmp_path / "wrong.csv", DUE)
    assert len(faults) == 1, faults
    assert (faults[0].line, faults[0].name) == (line, name)
    assert said in faults[0].reason
    assert "\n" not in faults[0].reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is empty: Id,Predicted and 4 rows"),
        (b"0_classification,1 1\n", "begins with '0_classification,1 1'"),
        (b"\xef\xbb\xbfId,Predicted\n", "begins with"),
        (b"Id;Predicted\n0_classification;1 1\n", "begins with 'Id;Predicted'"),
        (b"Id,Predicted,More\n", "begins with 'Id,Predicted,More'"),
        (b"Id,Predicted\n0_classification,1,1\n", "has 3 columns"),
        (b"Id,Predicted\n0_classification\n", "has 1 columns"),
        (b"Id,Predicted\n0\0,1 1\n", "is no row of this competition"),
    ],
)
def test_every_kind_of_wrong_file(tmp_path, text, said):
    (tmp_path / "wrong.csv").write_bytes(text)
    assert said in check_file(tmp_path / "wrong.csv", DUE)[0].reason


@pytest.mark.parametrize("text", [b"\x93NUMPY\xff\xfe\x00", b'Id,Predicted\n"0_class'])
def test_what_is_no_csv_at_all(tmp_path, text):
    (tmp_path / "wrong.csv").write_bytes(text)
    with pytest.raises(DataError, match=r"wrong\.csv"):
        check_file(tmp_path / "wrong.csv", DUE)


def test_several_faults_come_in_the_files_order(tmp_path):
    write_table(tmp_path / "wrong.csv", [("0_classification", ""), ("9_x", "1 1"), *RIGHT[1:3]])
    assert [fault.line for fault in check_file(tmp_path / "wrong.csv", DUE)] == [2, 3, 0]


def test_a_long_row_is_read(tmp_path):
    labels = (np.indices((400, 400)).sum(0) % 2).astype(np.uint8)  # a chessboard: 80,000 runs, 700 kB
    write_table(tmp_path / "long.csv", [("0_segmentation", str(encode_label_map(labels)))])
    assert len(read_table(tmp_path / "long.csv")["0_segmentation"]) > csv.field_size_limit() / 100
    assert check_file(tmp_path / "long.csv", [RequiredRow("0_segmentation", 400, 400)]) == []


def test_two_halves_become_one_file(tmp_path):
    write_table(tmp_path / "cls.csv", [(name, runs if "class" in name else "") for name, runs in RIGHT])
    write_table(tmp_path / "seg.csv", [(name, runs) for name, runs in reversed(RIGHT) if "seg" in name])
    assert merge(tmp_path / "cls.csv", tmp_path / "seg.csv") == RIGHT
    names = [name for name, _ in reversed(RIGHT)]
    assert merge(tmp_path / "cls.csv", tmp_path / "seg.csv", names) == list(reversed(RIGHT))


def test_halves_of_different_images_are_not_merged(tmp_path, file):
    write_table(tmp_path / "seg.csv", RIGHT[:2])
    with pytest.raises(DataError, match=r"seg\.csv lacks 1_segmentation"):
        merge(file, tmp_path / "seg.csv")
    write_table(tmp_path / "more.csv", [*RIGHT, ("2_segmentation", "1 1")])
    with pytest.raises(DataError, match="not of the same images"):
        merge(file, tmp_path / "more.csv")


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*args: object, **settings: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(RunError, match="No space left"):
        write_table(tmp_path / "mine.csv", RIGHT)
    assert list(tmp_path.iterdir()) == []
