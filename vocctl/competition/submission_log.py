"""submissions.jsonl: every submission that was written or uploaded, a line each time that something becomes known.

A line holds the file and its hash, the runs, the expected and the public score, and what is to be noted; later lines about
a file go over earlier ones.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vocctl.competition.editions import ALIAS, slug_of
from vocctl.errors import DataError, RunError
from vocctl.files import check_regular_file, parse_json, read_text
from vocctl.runs.find import RUNS

FOLDER = RUNS / "submit"
LOG = "submissions.jsonl"


def file_hash(path: Path) -> str:
    """Hex sha256 of the file. Raises DataError: it can't be read."""
    try:
        check_regular_file(path)
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}): name the csv of a submission") from error


def append_record(record: Mapping[str, Any]) -> None:
    """One line more. Raises RunError: no space, or no right to write."""
    line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), **record}) + "\n"
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        with (FOLDER / LOG).open("a+b") as stream:
            stream.seek(0)
            held = stream.read()
            whole = _whole(held)
            if len(whole) < len(held):
                stream.truncate(len(whole))
            stream.write(whole[len(held) :] + line.encode())
    except OSError as error:
        raise RunError(f"{FOLDER / LOG} can't be written: {error.strerror}; mend that and run it again") from error


def _whole(held: bytes) -> bytes:
    """Whole lines alone: a last one that a full disk cut short goes, one that merely lacks its end gets it."""
    end = held.rfind(b"\n") + 1
    try:
        parse_json(held[end:].decode())
    except ValueError:
        return held[:end]
    return held + b"\n"


def history() -> list[dict[str, Any]]:
    """What is known of each submission, oldest first. Of a file that was uploaded, each upload. Raises DataError: broken."""
    path = FOLDER / LOG
    if not path.is_file():
        return []
    found: dict[tuple[str, int], dict[str, Any]] = {}
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} can't be read: mend or remove it") from error
    for number, line in enumerate(_whole(text.encode()).decode().splitlines(), start=1):
        try:
            record = parse_json(line)
            digest, ref = str(record["sha256"]), int(record.get("ref") or 0)
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}, line {number} is no record of a submission: mend or remove it") from error
        written = found.get((digest, 0), {}) if ref else {}
        found[digest, ref] = written | found.get((digest, ref), {}) | record
    uploaded = {digest for digest, ref in found if ref}
    return [record for (digest, ref), record in found.items() if ref or digest not in uploaded]


def competition_of(record: Mapping[str, Any]) -> str:
    """The slug of the competition that the record names, or of the newest edition."""
    return slug_of(str(record.get("competition") or ALIAS))


def latest_record(path: Path) -> dict[str, Any]:
    """The newest record of a file with these bytes; its hash alone where there is none."""
    digest = file_hash(path)
    known = [record for record in history() if record["sha256"] == digest]
    kept = {
        "sha256",
        "file",
        "competition",
        "data",
        "cls",
        "seg",
        "cls_checkpoint",
        "seg_checkpoint",
        "tta",
        "expected",
        "rules",
        "notes",
    }
    about = {key: value for key, value in known[-1].items() if key in kept} if known else {}
    return about | {"file": str(path), "sha256": digest}
