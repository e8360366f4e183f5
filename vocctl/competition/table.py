"""The submission's csv: written whole, read as it is, checked row by row, merged from two halves.

Header `Id,Predicted`; then `<Id>_classification` and `<Id>_segmentation` of each test image, with the run lengths of
competition/rle.py. Kaggle takes a file with an empty row and scores it 0, so an empty row is a fault here.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocctl.competition.rle import NUM_CLASSES, RunLengths, by_plane, in_order, parse_run_lengths
from vocctl.errors import DataError, RunError
from vocctl.labels import SEG_CLASSES

HEADER = ("Id", "Predicted")
HALVES = ("classification", "segmentation")
LONGEST = 1 << 24  # characters of one field; the csv module stops at 131,072 otherwise

csv.field_size_limit(LONGEST)


@dataclass(frozen=True)
class RequiredRow:
    """A row that a submission must have."""

    name: str  # <Id>_classification or <Id>_segmentation
    height: int  # pixels of the image
    width: int

    @property
    def is_mask(self) -> bool:
        return self.name.endswith(HALVES[1])

    @property
    def places(self) -> int:
        """Length of the vector that its runs are in."""
        return NUM_CLASSES * self.height * self.width if self.is_mask else NUM_CLASSES


def row_names(numbers: Sequence[str]) -> list[str]:
    """The rows of a submission where no sample file orders them: both halves of each image in turn."""
    return [f"{number}_{half}" for number in numbers for half in HALVES]


@dataclass(frozen=True)
class Row:
    line: int  # in the file, from 1
    cells: tuple[str, ...]


@dataclass(frozen=True)
class FormatError:
    line: int  # in the file, from 1; 0: the file as a whole
    name: str  # of the row
    reason: str  # what is wrong, and what is due


def write_table(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    """The file, whole or not there. rows: (name, runs) in order. Raises RunError: no space, folder gone."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEADER, *rows])
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text.getvalue(), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise RunError(f"{path} can't be written ({error.strerror}): free space or choose another --out") from error


def _read(path: Path) -> list[Row]:
    """Every line with something on it. Raises DataError: missing, not text, no csv."""
    if not path.is_file():
        raise DataError(f"{path} is no file: name the csv of a submission")
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.reader(stream, strict=True)
            return [Row(reader.line_num, tuple(cells)) for cells in reader if cells]
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} can't be read as text: a submission is a csv in UTF-8") from error
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: no csv ({error}), a row is an id, a comma and numbers"
        ) from error


def read_table(path: Path) -> dict[str, str]:
    """Name -> runs. Raises DataError: not a submission's csv, or a name that comes twice."""
    rows = _read(path)
    if not rows or rows[0].cells != HEADER:
        raise DataError(f"{path} does not begin with {','.join(HEADER)}: it is no submission")
    table: dict[str, str] = {}
    for row in rows[1:]:
        if len(row.cells) != 2 or row.cells[0] in table:
            raise DataError(
                f"{path}, line {row.line}: a name of its own and its runs are due; --check lists all faults"
            )
        table[row.cells[0]] = row.cells[1]
    return table


def check_file(path: Path, due: Sequence[RequiredRow]) -> list[FormatError]:
    """All that is wrong with the file, in its order; nothing: Kaggle will take it. Raises DataError: it is no csv."""
    rows = _read(path)
    if not rows:
        return [FormatError(0, "", f"is empty: {','.join(HEADER)} and {len(due)} rows are due")]
    if rows[0].cells != HEADER:
        got = ",".join(rows[0].cells)[:60]
        return [FormatError(rows[0].line, "", f"begins with {got!r}: {','.join(HEADER)} is due")]
    return [*_faults_of_rows(rows[1:], due)]


def _faults_of_rows(rows: Sequence[Row], due: Sequence[RequiredRow]) -> Iterator[FormatError]:
    by_name = {one.name: one for one in due}
    seen: dict[str, int] = {}
    for row in rows:
        name = row.cells[0]
        if len(row.cells) != 2:
            yield FormatError(
                row.line, name[:40], f"has {len(row.cells)} columns: an id and its runs are due, numbers by spaces"
            )
        elif name not in by_name:
            yield FormatError(row.line, name[:40], _unknown(name, by_name))
        elif name in seen:
            yield FormatError(row.line, name, f"is on line {seen[name]} already: each row comes once")
        else:
            if reason := _fault_of_runs(row.cells[1], by_name[name]):
                yield FormatError(row.line, name, reason)
            seen.setdefault(name, row.line)
    lacking = [one.name for one in due if one.name not in seen]
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        yield FormatError(
            0, "", f"has {len(rows)} rows, {len(due)} are due: {', '.join(lacking[:3])}{more} are missing"
        )
    elif list(seen) != list(by_name):
        first = next(name for name, expected in zip(seen, by_name, strict=True) if name != expected)
        expected = list(by_name)[list(seen).index(first)]
        yield FormatError(seen[first], first, f"stands where {expected} is due: keep the sample file's order")


def _unknown(name: str, by_name: dict[str, RequiredRow]) -> str:
    if name.strip() in by_name:
        return "has spaces around its id: take them out"
    if f"{name}_{HALVES[0]}" in by_name:
        return f"has no half: {name}_{HALVES[0]} and {name}_{HALVES[1]} are due"
    return "is no row of this competition: the sample file lists those that are"


def _fault_of_runs(text: str, due: RequiredRow) -> str:
    """What is wrong with one row's runs; empty: nothing."""
    if not text.strip():
        return "is empty, which scores 0: every image holds a class, so name the likeliest"
    try:
        runs = parse_run_lengths(text)
    except ValueError as error:
        return f"holds {error}"
    if not (runs.starts[1:] > runs.starts[:-1]).all():
        place = int(np.flatnonzero(runs.starts[1:] <= runs.starts[:-1])[0]) + 1
        return f"is not sorted: run {place + 1} starts at {runs.starts[place] + 1}, not after the one before"
    over = np.flatnonzero(runs.ends[:-1] > runs.starts[1:])
    if len(over):
        place = int(over[0])
        return f"has runs {place + 1} and {place + 2} overlap at {runs.starts[place + 1] + 1}: each place comes once"
    if runs.ends[-1] > due.places:
        what = f"20 x {due.height} x {due.width}" if due.is_mask else "the 20 classes"
        return f"goes on to {runs.ends[-1]}, past {due.places} ({what}): is it of another image, or counted by columns?"
    return _two_classes(runs, due) if due.is_mask else ""


def _two_classes(runs: RunLengths, due: RequiredRow) -> str:
    planes = [
        (name, plane) for name, plane in zip(SEG_CLASSES[1:], by_plane(runs, due.height * due.width), strict=True)
    ]
    every = RunLengths(
        np.concatenate([plane.starts for _, plane in planes]), np.concatenate([p.lengths for _, p in planes])
    )
    if in_order(every).total == every.total:
        return ""
    owned = np.zeros(due.height * due.width, bool)
    for name, plane in planes:
        for start, end in zip(plane.starts.tolist(), plane.ends.tolist(), strict=True):
            if owned[start:end].any():
                pixel = start + int(np.flatnonzero(owned[start:end])[0])
                where = f"row {pixel // due.width}, column {pixel % due.width}"
                return f"gives the pixel in {where} to {name} and to another class: one class a pixel"
        for start, end in zip(plane.starts.tolist(), plane.ends.tolist(), strict=True):
            owned[start:end] = True
    raise AssertionError("overlap was counted and not found")


def merge(classification: Path, segmentation: Path, names: Sequence[str] | None = None) -> list[tuple[str, str]]:
    """The classification rows of one file and the segmentation rows of another, in order.

    names: the order; where it is left out, the first file's. Raises DataError: a file that is no submission, or lacks rows.
    """
    tables = {HALVES[0]: read_table(classification), HALVES[1]: read_table(segmentation)}
    files = dict(zip(HALVES, (classification, segmentation), strict=True))
    order = list(names) if names is not None else _rows_of(tables[HALVES[0]])
    rows = []
    for name in order:
        half = name.rpartition("_")[2]
        if half not in tables or name not in tables[half]:
            raise DataError(f"{files.get(half, classification)} lacks {name}: merge files of the same images")
        rows.append((name, tables[half][name]))
    extra = len(_rows_of(tables[HALVES[1]])) - len(_rows_of(tables[HALVES[0]]))
    if names is None and extra:
        raise DataError(f"{segmentation} and {classification} are not of the same images: merge two of one competition")
    return rows


def _rows_of(table: dict[str, str]) -> list[str]:
    """Both rows of every image that has a row of either half, in the table's order."""
    ids = dict.fromkeys(name.rpartition("_")[0] for name in table)
    return [f"{one}_{half}" for one in ids for half in HALVES]
