"""The csv of a submission: written atomically, read, and merged from a classification and a segmentation file.

The header is `Id,Predicted`. Each test image has two rows, `<Id>_classification` and `<Id>_segmentation`, with the run
lengths of competition/rle.py. format_check.py lists what Kaggle would refuse.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vocctl.competition.rle import NUM_CLASSES
from vocctl.errors import DataError
from vocctl.files import create_folder, read_csv, write_csv

HEADER = ("Id", "Predicted")
ROW_KINDS = ("classification", "segmentation")
MAX_FIELD = 1 << 24  # characters of a field: the run lengths of a mask exceed csv's default of 131,072


@dataclass(frozen=True)
class RequiredRow:
    """A row that a submission must have."""

    name: str  # <Id>_classification or <Id>_segmentation
    height: int  # pixels of the image
    width: int

    @property
    def is_mask(self) -> bool:
        return self.name.endswith("_segmentation")

    @property
    def vector_length(self) -> int:
        """Length of the vector that the row encodes."""
        return NUM_CLASSES * self.height * self.width if self.is_mask else NUM_CLASSES


@dataclass(frozen=True)
class Row:
    line: int  # in the file, from 1
    cells: tuple[str, ...]


def row_names(csv_ids: Sequence[str]) -> list[str]:
    """The rows' names in the default order: classification and segmentation of each image in turn."""
    return [f"{csv_id}_{kind}" for csv_id in csv_ids for kind in ROW_KINDS]


def write_table(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    """Write (name, run lengths) rows atomically. Raises RunError: no space, or read-only."""
    create_folder(path.parent)
    write_csv(path, [HEADER, *rows])


def read_rows(path: Path) -> list[Row]:
    """Read every row that is not an empty line. Raises DataError: missing, not text, or not a csv."""
    if not path.is_file():
        raise DataError(f"{path} is not a file: give the csv of a submission")
    try:
        return [Row(line, tuple(cells)) for line, cells in read_csv(path, max_field=MAX_FIELD)]
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} cannot be read as text: a submission is a csv in UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path}, {error}; a row is a name, a comma and numbers") from error


def read_table(path: Path) -> dict[str, str]:
    """Read name -> run lengths. Raises DataError: not the csv of a submission, or a duplicate name."""
    rows = read_rows(path)
    if not rows or rows[0].cells != HEADER:
        raise DataError(f"{path} does not begin with {','.join(HEADER)}: it is not a submission")
    table: dict[str, str] = {}
    for row in rows[1:]:
        if len(row.cells) != 2 or row.cells[0] in table:
            raise DataError(
                f"{path}, line {row.line}: expected a new name and its run lengths; `vocctl submit --check` lists all errors"
            )
        table[row.cells[0]] = row.cells[1]
    return table


def merge(classification: Path, segmentation: Path, names: Sequence[str] | None = None) -> list[tuple[str, str]]:
    """Merge the classification rows of one file with the segmentation rows of another.

    names: the order of the rows; None: that of the classification file. Raises DataError: a file is not a submission, has
    no row for an image, or has other images.
    """
    files = {"classification": classification, "segmentation": segmentation}
    tables = {kind: read_table(path) for kind, path in files.items()}
    order = names if names is not None else row_names(_csv_ids(tables["classification"]))
    rows = []
    for name in order:
        kind = name.rpartition("_")[2]
        if kind not in tables or name not in tables[kind]:
            raise DataError(f"{files.get(kind, classification)} has no row {name}: merge files of the same images")
        rows.append((name, tables[kind][name]))
    if names is None and len(_csv_ids(tables["segmentation"])) != len(_csv_ids(tables["classification"])):
        raise DataError(f"{segmentation} and {classification} have different images: merge files of one competition")
    return rows


def _csv_ids(table: dict[str, str]) -> list[str]:
    """Ids of the images that have a row of any kind, in the table's order."""
    return list(dict.fromkeys(name.rpartition("_")[0] for name in table))
