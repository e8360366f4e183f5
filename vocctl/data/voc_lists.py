"""Read the lists of a VOC devkit, one image a line: `<id>` in a list of ids, `<id> <value>` in the list of a class.

An id is the name of an image file without its ending. It may contain blanks: a line is never split at all of them.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

from vocctl.data.file_index import IMAGE_ENDINGS
from vocctl.data.split_files import Problem, format_repetitions, is_file_stem
from vocctl.errors import DataError
from vocctl.files import read_text
from vocctl.labels import IGNORE

LABEL_OF = {"1": 1, "-1": 0, "0": IGNORE}  # value in a class list -> target


class Line(NamedTuple):
    number: int  # in the file, from 1
    text: str  # without blanks around it


class ClassRow(NamedTuple):
    number: int  # of the line, from 1
    image_id: str
    value: str  # a key of LABEL_OF


def read_lines(path: Path) -> list[Line]:
    """The lines that are not blank. Raises DataError: not UTF-8 text."""
    try:
        lines = read_text(path).split("\n")
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} cannot be read as text: save it as UTF-8, or replace the list") from error
    # a list that was joined from several has a byte-order mark at the start of each
    stripped = [Line(number, line.replace("\ufeff", "").strip()) for number, line in enumerate(lines, start=1)]
    return [line for line in stripped if line.text]


def read_ids(path: Path, images: Collection[str] = (), *, has_values: bool = False) -> list[str]:
    """The ids of a list in order, with repetitions. Raises DataError: not text, or a line that is not an id.

    images: the ids of existing images, by which a second column is told from an id with blanks.
    has_values: the list may have the second column of a class list, which is ignored.
    """
    ids = []
    for number, text in read_lines(path):
        image_id = text
        if text not in images:
            if has_values and (row := _class_row(number, text, images)) is not None:
                image_id = row.image_id
            elif problem := _id_problem(number, text, images):
                raise DataError(f"{path}, line {number}: {problem}")
        ids.append(image_id)
    return ids


def read_class_list(path: Path, images: Collection[str] = ()) -> list[ClassRow]:
    """The rows of the list of a class, with repetitions. Raises DataError: not text, empty, or an invalid line."""
    rows = []
    first_rows: dict[str, ClassRow] = {}
    for number, text in read_lines(path):
        row = _class_row(number, text, images)
        if row is None:
            raise DataError(
                f"{path}, line {number}: expected an id and 1, 0 or -1, got {' '.join(text.split())[:60]!r}"
            )
        if problem := _id_problem(number, row.image_id, images) if row.image_id not in images else "":
            raise DataError(f"{path}, line {number}: {problem}")
        rows.append(row)
        first = first_rows.setdefault(row.image_id, row)
        if first.value != row.value:
            raise DataError(
                f"{path}, line {number}: {row.image_id} is listed twice, with {row.value} and on line {first.number} with "
                f"{first.value}: fix the list"
            )
    if not rows:
        raise DataError(f"{path} is empty: a split needs at least one image")
    return rows


def class_list_problems(path: Path, images: Collection[str]) -> Iterator[Problem]:
    """Everything that is wrong in the list of a class, line by line."""
    try:
        lines = read_lines(path)
    except DataError:
        yield Problem(path, "is not text: save it as UTF-8, or replace the list")
        return
    if not lines:
        yield Problem(path, "is empty: expected a line for each image of the split")
    rows: dict[str, ClassRow] = {}
    ids = []
    for number, text in lines:
        row = _class_row(number, text, images)
        if row is None:
            shown = " ".join(text.split())[:60]
            yield Problem(path, f"line {number} is {shown!r}: expected an id and 1, -1 or 0")
        elif row.image_id not in images and (problem := _id_problem(number, row.image_id, images)):
            yield Problem(path, f"line {number}: {problem}")
        elif rows.setdefault(row.image_id, row).value != row.value:
            yield Problem(path, f"line {number}: {row.image_id} is listed twice with different values: fix the list")
        else:
            ids.append(row.image_id)
    if repeated := format_repetitions(ids):
        yield Problem(path, f"lists {repeated} more than once: remove the duplicates")


def _class_row(number: int, text: str, images: Collection[str]) -> ClassRow | None:
    """None: the line is not an id and a value. An id with blanks must be the id of an image."""
    image_id, *values = text.rsplit(maxsplit=1)
    value = values[0].removeprefix("+").removesuffix(".0") if values else ""  # +1 and 1.0, as other programs write 1
    if value not in LABEL_OF or (len(image_id.split()) > 1 and image_id not in images):
        return None
    return ClassRow(number, image_id, value)


def _id_problem(number: int, text: str, images: Collection[str]) -> str:
    """What is wrong with a line that is not the id of an existing image; empty: it may be the id of a missing one."""
    row = _class_row(number, text, images)
    if row is not None and (row.image_id in images or row.value == "-1"):
        return f"{text!r} is a line of a class list (ImageSets/Main): this list has one id a line, remove the second column"
    parts = text.split()
    if len(parts) > 1 and all(part in images for part in parts):
        return f"{text[:60]!r} is {len(parts)} ids: a list has one id a line"
    if Path(text).name == text and Path(text).suffix.lower() in IMAGE_ENDINGS and Path(text).stem in images:
        return f"lists {text!r}: an id has no ending, write {Path(text).stem!r}"
    if image_id := _id_in(text, images):
        return f"lists {text[:120]!r}: an id is a file name without its folder and ending, alone on its line; write {image_id!r}"
    if text.startswith("#"):
        return f"{text[:60]!r} is a comment: a list has ids alone, remove the line"
    if not is_file_stem(text) or "\\" in text:
        return f"lists {text[:120]!r}: an id is a file name without its folder, fix the list"
    return ""


def _id_in(text: str, images: Collection[str]) -> str:
    """The id of an image in a line that has more than that: a path, an ending, quotes, a comma, other columns. "": none."""
    for part in re.split(r"[\s,;|]+", text):
        name = PureWindowsPath(part.strip("\"'\u200b")).name  # of a path with either slash
        for image_id in (name, name.rpartition(".")[0]):
            if image_id in images:
                return image_id
    return ""
