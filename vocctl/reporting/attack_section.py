"""What attacks on a run add to the report: attack.json and table.csv as tables, and the figures of RUN/attacks/<name>."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import Any

from vocctl.data.images import read_image
from vocctl.errors import DataError
from vocctl.files import read_text
from vocctl.plots.report_page import Cell, FigureImage, Table, figure_url
from vocctl.runs.attacks import attack_records
from vocctl.runs.records import RunRecord


def attack_tables(run: RunRecord) -> list[Table]:
    """A table of each attack's settings and, if it has been saved, one of its results. Raises DataError: a file cannot be read."""
    tables = []
    for attack in attack_records(run.folder.path):
        rows = [[key, _format_value(value)] for key, value in attack.settings.items()]
        tables.append(Table(f"Attack {attack.name}: settings", ["setting", "value"], rows))
        path = attack.folder / "table.csv"
        if path.is_file():
            with _readable(attack.folder):
                headers, *lines = csv.reader(io.StringIO(read_text(path)))
            cells = [[_parse_cell(text) for text in line] for line in lines]
            tables.append(Table(f"Attack {attack.name}: results", headers, cells))
    return tables


def attack_figures(run: RunRecord) -> list[FigureImage]:
    """The png files that the attacks have written. Raises DataError: a file cannot be read."""
    figures = []
    for attack in attack_records(run.folder.path):
        with _readable(attack.folder):
            for path in sorted(attack.folder.glob("*.png")):
                figures.append(FigureImage(f"Attack {attack.name}: {path.stem}", figure_url(read_image(path))))
    return figures


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    """Turn an unreadable file into a DataError that says what to do."""
    try:
        yield
    except (OSError, ValueError, csv.Error, DataError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{folder} cannot be read ({reason}): run the attack again") from error


def _format_value(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _parse_cell(text: str) -> Cell:
    """A number where the text is one; None for NaN."""
    try:
        value = float(text)
    except ValueError:
        return text
    if isnan(value):
        return None
    return int(value) if text.lstrip("-").isdigit() else value
