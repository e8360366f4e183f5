"""runs/submit/submissions.jsonl: the log of submissions, one line each time that a file is written, uploaded or scored.

A line holds the file and its hash, the runs, the expected and the public score, and warnings. Later lines of a file
override earlier ones.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vocctl.competition.editions import ALIAS, resolve_slug
from vocctl.errors import DataError
from vocctl.files import check_regular_file, create_folder, parse_json, read_text, write_text
from vocctl.runs.find import RUNS

FOLDER = RUNS / "submit"
LOG = "submissions.jsonl"
# entries that describe a file, not one of its uploads
FILE_KEYS = {
    "sha256", "file", "competition", "data", "cls", "seg", "cls_checkpoint", "seg_checkpoint", "tta", "expected", "rules",
    "warnings",
}  # fmt: skip


def file_hash(path: Path) -> str:
    """Hex SHA-256 of the file. Raises DataError: it cannot be read."""
    try:
        check_regular_file(path)
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): give the csv of a submission") from error


def append_record(record: Mapping[str, Any]) -> None:
    """Append a line with the current time. Raises RunError: no space, or read-only. DataError: the log is not text."""
    line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), **record}) + "\n"
    lines = _read_lines()
    create_folder(FOLDER)
    write_text(FOLDER / LOG, "".join(f"{text}\n" for text in lines) + line)


def _read_lines() -> list[str]:
    """The lines of the log, without a last one that was not written completely. Raises DataError: not text."""
    path = FOLDER / LOG
    try:
        text = read_text(path) if path.is_file() else ""
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: fix or remove it") from error
    *lines, last = text.split("\n")
    try:
        parse_json(last)
    except ValueError:  # empty, or cut short
        return lines
    return [*lines, last]


def history() -> list[dict[str, Any]]:
    """All that is known of each submission, oldest first.

    A file that was uploaded several times has a record for each upload; one that was not uploaded has one record.
    Raises DataError: the log is corrupt.
    """
    records: dict[tuple[str, int], dict[str, Any]] = {}  # (hash, Kaggle's number of the submission; 0: not uploaded)
    for number, line in enumerate(_read_lines(), start=1):
        try:
            record = parse_json(line)
            digest, ref = str(record["sha256"]), int(record.get("ref") or 0)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{FOLDER / LOG}, line {number} is not a record of a submission: fix or remove it"
            ) from error
        written = records.get((digest, 0), {}) if ref else {}
        records[digest, ref] = written | records.get((digest, ref), {}) | record
    uploaded = {digest for digest, ref in records if ref}
    return [record for (digest, ref), record in records.items() if ref or digest not in uploaded]


def slug_of_record(record: Mapping[str, Any]) -> str:
    """The slug of the record's competition; without one, that of the newest edition."""
    return resolve_slug(str(record.get("competition") or ALIAS))


def latest_record(path: Path) -> dict[str, Any]:
    """What the log knows of the file with this content; only its path and hash if that is nothing. Raises DataError."""
    digest = file_hash(path)
    known = [record for record in history() if record["sha256"] == digest]
    about_file = {key: value for key, value in known[-1].items() if key in FILE_KEYS} if known else {}
    return about_file | {"file": str(path), "sha256": digest}
