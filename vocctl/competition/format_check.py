"""Check the csv of a submission row by row, before it costs one of the day's submissions.

Kaggle accepts a file with an empty row and scores that row 0, so an empty row is an error here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocctl.competition.rle import RunLengths, parse_run_lengths, split_by_class, union_of_runs
from vocctl.competition.table import HEADER, RequiredRow, Row, read_rows
from vocctl.labels import SEG_CLASSES

SPREADSHEET_LIMIT = 32_767  # characters of a cell; Excel and others cut longer ones without a word
SCIENTIFIC = re.compile(r"\d[Ee]\+\d")  # 1.5E+15
CUT = (
    f"has exactly {SPREADSHEET_LIMIT} characters, at which spreadsheets cut a cell: use the file as it was before a "
    "spreadsheet saved it"
)
MAX_NAME = 40  # characters of an unknown row's name that a message repeats


@dataclass(frozen=True)
class FormatError:
    line: int  # in the file, from 1; 0: the whole file
    name: str  # of the row; empty: the whole file
    reason: str  # what is wrong and what is expected, to be read after the name


def check_file(path: Path, required: Sequence[RequiredRow]) -> list[FormatError]:
    """List all errors of the file, in its order; an empty list: Kaggle will accept it. Raises DataError: not a csv.

    A row that a spreadsheet may have cut counts as an error, although Kaggle would accept and score it.
    """
    return _check_rows(path, required, may_be_cut=True)


def check_written_file(path: Path, required: Sequence[RequiredRow]) -> list[FormatError]:
    """As check_file, for a file that vocctl has just written: no spreadsheet has cut its rows, whatever their length."""
    return _check_rows(path, required, may_be_cut=False)


def _check_rows(path: Path, required: Sequence[RequiredRow], *, may_be_cut: bool) -> list[FormatError]:
    rows = read_rows(path)
    if not rows:
        return [FormatError(0, "", f"is empty: expected {','.join(HEADER)} and {len(required)} rows")]
    if rows[0].cells != HEADER:
        header = ",".join(rows[0].cells)[:60]
        hint = "".join(
            f"; columns are separated by commas, not by {name}s"
            for name, mark in (("semicolon", ";"), ("tab", "\t"))
            if mark in header
        )
        return [FormatError(rows[0].line, "", f"begins with {header!r}: expected {','.join(HEADER)}{hint}")]
    return [*_row_errors(rows[1:], required, may_be_cut=may_be_cut), *_order_errors(rows[1:], required)]


def _row_errors(rows: Sequence[Row], required: Sequence[RequiredRow], *, may_be_cut: bool) -> Iterator[FormatError]:
    """The errors of single rows."""
    by_name = {row.name: row for row in required}
    lines: dict[str, int] = {}  # name -> its first line
    for row in rows:
        name = row.cells[0]
        if not any(map(str.strip, row.cells)):
            yield FormatError(row.line, "", "is a blank row, as spreadsheets leave them: remove the line")
        elif len(row.cells) != 2:
            reason = f"has {len(row.cells)} columns: expected a name, and run lengths separated by spaces"
            yield FormatError(row.line, name[:MAX_NAME], reason)
        elif name not in by_name:
            yield FormatError(row.line, name[:MAX_NAME], _unknown_name(name, by_name))
        elif name in lines:
            yield FormatError(row.line, name, f"is already on line {lines[name]}: expected each row once")
        else:
            if may_be_cut and len(row.cells[1]) == SPREADSHEET_LIMIT:
                yield FormatError(row.line, name, CUT)
            elif reason := _run_length_error(row.cells[1], by_name[name]):
                yield FormatError(row.line, name, reason)
            lines[name] = row.line


def _order_errors(rows: Sequence[Row], required: Sequence[RequiredRow]) -> Iterator[FormatError]:
    """Missing rows; or, if there are none, the first row that is out of order."""
    names = {row.name for row in required}
    lines: dict[str, int] = {}
    for row in rows:
        if len(row.cells) == 2 and row.cells[0] in names:
            lines.setdefault(row.cells[0], row.line)
    missing = [row.name for row in required if row.name not in lines]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        reason = f"has {len(rows)} rows, expected {len(required)}: {', '.join(missing[:3])}{more} missing"
        yield FormatError(0, "", reason)
        return
    for name, expected in zip(lines, required, strict=True):
        if name != expected.name:
            yield FormatError(lines[name], name, f"is where {expected.name} is expected: keep the sample file's order")
            return


def _unknown_name(name: str, by_name: Mapping[str, RequiredRow]) -> str:
    if name.strip() in by_name:
        return "has spaces around its name: remove them"
    if f"{name}_classification" in by_name:
        return f"is an image: expected the rows {name}_classification and {name}_segmentation"
    return "is not a row of this competition: see its sample file"


def _run_length_error(text: str, required: RequiredRow) -> str:
    """What is wrong with the run lengths of a row; empty: nothing."""
    if not text.strip():
        return "is empty, which scores 0: every image holds a class, so predict the most probable one"
    try:
        runs = parse_run_lengths(text)
    except ValueError as error:
        hint = "; a spreadsheet has changed the number" if SCIENTIFIC.search(text) else ""
        return f"is invalid: {error}{hint}"
    unsorted = np.flatnonzero(runs.starts[1:] <= runs.starts[:-1])
    if len(unsorted):
        index = int(unsorted[0]) + 1
        return f"is not sorted: run {index + 1} starts at {runs.starts[index] + 1}, not after the start of run {index}"
    overlapping = np.flatnonzero(runs.ends[:-1] > runs.starts[1:])
    if len(overlapping):
        index = int(overlapping[0])
        return f"has overlapping runs: {index + 1} and {index + 2} share index {runs.starts[index + 1] + 1}"
    if runs.ends[-1] > required.vector_length:
        size = f"20 x {required.height} x {required.width}" if required.is_mask else "20 classes"
        hint = "is it the row of another image, or column-major?"
        return f"ends at {runs.ends[-1]}, beyond {required.vector_length} ({size}): {hint}"
    return _shared_pixel(runs, required) if required.is_mask else ""


def _shared_pixel(runs: RunLengths, required: RequiredRow) -> str:
    """Name the first pixel found with two classes; empty: there is none."""
    planes = split_by_class(runs, required.height * required.width)
    stacked = RunLengths(*(np.concatenate([getattr(plane, key) for plane in planes]) for key in ("starts", "lengths")))
    if union_of_runs(stacked).num_ones == stacked.num_ones:
        return ""
    labels = np.zeros(required.height * required.width, np.uint8)
    for label, plane in enumerate(planes, start=1):
        for start, end in zip(plane.starts.tolist(), plane.ends.tolist(), strict=True):
            if labels[start:end].any():
                pixel = start + int(np.flatnonzero(labels[start:end])[0])
                where = f"row {pixel // required.width}, column {pixel % required.width}"
                classes = f"{SEG_CLASSES[labels[pixel]]} and {SEG_CLASSES[label]}"
                return f"gives the pixel in {where} two classes, {classes}: expected one class per pixel"
            labels[start:end] = label
    return ""
