"""Every kind of invalid row and file gets one error with its line, its name and the reason."""

import pytest

from vocctl.competition.format_check import check_file, check_written_file
from vocctl.competition.table import RequiredRow, row_names, write_table
from vocctl.errors import DataError

SIZES = {"0": (2, 3), "1": (2, 2)}  # the vectors of the masks have 20 * 6 = 120 and 20 * 4 = 80 elements
REQUIRED = [RequiredRow(name, *SIZES[name.split("_")[0]]) for name in row_names(list(SIZES))]
VALID = [
    ("0_classification", "1 1 15 2"),
    ("0_segmentation", "4 1 8 2 12 1"),  # class 1: its 4th pixel; class 2: its 2nd, 3rd and 6th
    ("1_classification", "20 1"),
    ("1_segmentation", "77 4"),
]


def with_row(index: int, text: str) -> list[tuple[str, str]]:
    """VALID with other run lengths in one row."""
    return [(name, text if number == index else runs) for number, (name, runs) in enumerate(VALID)]


@pytest.mark.parametrize("rows", [VALID, with_row(1, "4 1 5 1"), with_row(1, "120 1")])  # touching runs, last element
def test_a_valid_file(tmp_path, rows):
    write_table(tmp_path / "valid.csv", rows)
    assert check_file(tmp_path / "valid.csv", REQUIRED) == []


@pytest.mark.parametrize(
    ("rows", "line", "name", "reason"),
    [
        (with_row(0, ""), 2, "0_classification", "is empty, which scores 0"),
        (with_row(1, "   "), 3, "0_segmentation", "is empty, which scores 0"),
        (with_row(0, "1 1 15"), 2, "0_classification", "the number of values is odd (3): expected pairs"),
        (with_row(0, "1 x"), 2, "0_classification", "is invalid: 'x' is not a positive integer"),
        (with_row(0, "1.0 2.0"), 2, "0_classification", "'1.0' is not a positive integer"),
        (with_row(0, "-3 2"), 2, "0_classification", "'-3' is not a positive integer"),
        (with_row(0, "0 2"), 2, "0_classification", "starts count from 1"),
        (with_row(0, "3 0"), 2, "0_classification", "every run has a positive length"),
        (with_row(0, "20 2"), 2, "0_classification", "ends at 21, beyond 20 (20 classes)"),
        (with_row(1, "119 3"), 3, "0_segmentation", "ends at 121, beyond 120 (20 x 2 x 3)"),
        (with_row(1, "4 1 3 1"), 3, "0_segmentation", "not sorted: run 2 starts at 3, not after the start of run 1"),
        (with_row(1, "4 1 4 1"), 3, "0_segmentation", "not sorted: run 2 starts at 4"),
        (with_row(1, "4 3 6 1"), 3, "0_segmentation", "overlapping runs: 1 and 2 share index 6"),
        (with_row(1, "4 1 10 1"), 3, "0_segmentation", "row 1, column 0 two classes, aeroplane and bicycle"),
        (with_row(1, "1 " + "9" * 40), 3, "0_segmentation", "has 40 digits, more than 15"),
        (VALID[:3], 0, "", "has 3 rows, expected 4: 1_segmentation missing"),
        (VALID[:2], 0, "", "1_classification, 1_segmentation missing"),
        ([*VALID, VALID[1]], 6, "0_segmentation", "is already on line 3"),
        ([*VALID, ("7_segmentation", "1 1")], 6, "7_segmentation", "is not a row of this competition"),
        ([*VALID, ("0", "1 1")], 6, "0", "expected the rows 0_classification and 0_segmentation"),
        ([*VALID, (" 0_classification", "1 1")], 6, " 0_classification", "spaces around its name"),
        ([VALID[1], VALID[0], *VALID[2:]], 2, "0_segmentation", "is where 0_classification is expected"),
    ],
)
def test_every_kind_of_invalid_row(tmp_path, rows, line, name, reason):
    write_table(tmp_path / "wrong.csv", rows)
    (error,) = check_file(tmp_path / "wrong.csv", REQUIRED)
    assert (error.line, error.name) == (line, name)
    assert reason in error.reason
    assert "\n" not in error.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "is empty: expected Id,Predicted and 4 rows"),
        (b"0_classification,1 1\n", "begins with '0_classification,1 1'"),
        (b"Id;Predicted\n0_classification;1 1\n", "begins with 'Id;Predicted'"),
        (b"Id;Predicted\n0_classification;1 1\n", "columns are separated by commas, not by semicolons"),
        (b"Id\tPredicted\n", "columns are separated by commas, not by tabs"),
        (b"Id,Predicted\n,\n", "is a blank row, as spreadsheets leave them"),
        (b"Id,Predicted\n0_segmentation,1.5E+15\n", "a spreadsheet has changed the number"),
        (b"Id,Predicted,More\n", "begins with 'Id,Predicted,More'"),
        (b"Id,Predicted\n0_classification,1,1\n", "has 3 columns"),
        (b"Id,Predicted\n0_classification\n", "has 1 columns"),
        (b"Id,Predicted\n0\0,1 1\n", "is not a row of this competition"),
    ],
)
def test_every_kind_of_invalid_file(tmp_path, text, reason):
    (tmp_path / "wrong.csv").write_bytes(text)
    assert reason in check_file(tmp_path / "wrong.csv", REQUIRED)[0].reason


@pytest.mark.parametrize("text", [b"\x93NUMPY\xff\xfe\x00", b'Id,Predicted\n"0_class'])
def test_what_is_not_a_csv(tmp_path, text):
    (tmp_path / "wrong.csv").write_bytes(text)
    with pytest.raises(DataError, match=r"wrong\.csv"):
        check_file(tmp_path / "wrong.csv", REQUIRED)


def test_errors_are_listed_in_the_files_order(tmp_path):
    write_table(tmp_path / "wrong.csv", [("0_classification", ""), ("9_x", "1 1"), *VALID[1:3]])
    assert [error.line for error in check_file(tmp_path / "wrong.csv", REQUIRED)] == [2, 3, 0]


@pytest.mark.parametrize("length", [32_766, 32_767, 32_768])
def test_a_row_that_a_spreadsheet_has_cut(tmp_path, length):
    """Single pixels of class 1, far apart. Of exactly 32,767 characters, with an even count of numbers, it looks valid."""
    text = " ".join(f"{10_001 + 4 * run} 1" for run in range(4000))[: length - 10].rpartition(" 1 ")[0] + " 1"
    text = text.ljust(length)
    write_table(tmp_path / "cut.csv", [("0_segmentation", text)])
    required = [RequiredRow("0_segmentation", 5000, 5000)]
    errors = check_file(tmp_path / "cut.csv", required)
    assert check_written_file(tmp_path / "cut.csv", required) == []
    assert [(error.line, error.name) for error in errors] == ([(2, "0_segmentation")] if length == 32_767 else [])
    assert all("has exactly 32767 characters, at which spreadsheets cut a cell" in error.reason for error in errors)


def test_a_byte_order_mark_is_accepted(tmp_path):
    write_table(tmp_path / "valid.csv", VALID)
    (tmp_path / "valid.csv").write_text((tmp_path / "valid.csv").read_text() + "\n", encoding="utf-8-sig")
    assert check_file(tmp_path / "valid.csv", REQUIRED) == []
