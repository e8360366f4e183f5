"""Reading untrusted files within limits; writing files and folders that are complete or absent."""

import csv
import errno
from pathlib import Path

import pytest

from vocctl.errors import DataError, RunError
from vocctl.files import (
    MAX_BYTES,
    atomic_folder,
    disk_errors,
    local_atomic_folder,
    read_csv,
    read_json,
    read_text,
    staging_folder,
)


def test_file_that_is_too_large_to_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    path.touch()
    with path.open("r+b") as stream:
        stream.truncate(MAX_BYTES + 1)  # sparse: it takes no room on the disk
    for read in (read_text, read_json):
        with pytest.raises(OSError, match="larger than 1024 MB"):
            read(path)


def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text('{"a": 1}', encoding="utf-8-sig")
    assert read_text(path) == '{"a": 1}'
    assert read_json(path) == {"a": 1}
    path.write_text("a,b\r\n\r\n1,2\r\n", encoding="utf-8-sig")
    assert read_csv(path) == [(1, ["a", "b"]), (3, ["1", "2"])]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_not_text(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "file").write_text("a,b\n", encoding=encoding)
    for read in (read_text, read_csv):
        with pytest.raises(UnicodeDecodeError):
            read(tmp_path / "file")


def test_csv_names_the_line_of_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text('a,b\n"1,2\n')
    with pytest.raises(csv.Error, match="line 2: not a csv"):
        read_csv(tmp_path / "file")
    (tmp_path / "file").write_text("a\n" + 11 * "b" + "\n")
    with pytest.raises(csv.Error, match="line 2"):
        read_csv(tmp_path / "file", max_field=10)
    assert len(read_csv(tmp_path / "file")) == 2  # the limit was for that call


def interrupt_after_writing(path: Path) -> None:
    path.write_text("")
    raise KeyboardInterrupt


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_atomic_folder_replaces_an_existing_one(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("")
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "of a killed process").write_text("")
    with local_atomic_folder(tmp_path / "out") as part:
        (part / "new").write_text("")
    assert (names(tmp_path), names(tmp_path / "out")) == (["out"], ["new"])


def test_atomic_folder_of_a_failed_block_is_removed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("")
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "out") as part:
        interrupt_after_writing(part / "new")
    assert (names(tmp_path), names(tmp_path / "out")) == (["out"], ["old"])


def test_only_the_main_process_replaces_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vocctl.files.is_main_process", lambda: False)
    with atomic_folder(tmp_path / "out") as part:
        assert part == tmp_path / "out.part"
    assert names(tmp_path) == []


def test_staging_folder_becomes_the_folder_or_moves_into_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with staging_folder(tmp_path / "out") as part:
            (part / name).mkdir()
            (part / name / "file").write_text(name)
    assert (names(tmp_path), names(tmp_path / "out")) == (["out"], ["a", "b"])
    with pytest.raises(DataError, match="b already exists"), staging_folder(tmp_path / "out") as part:
        (part / "b" / "c").mkdir(parents=True)
    assert names(tmp_path / "out") == ["a", "b"]
    assert (tmp_path / "out" / "b" / "file").read_text() == "b"


def test_staging_folder_of_a_failed_block_is_removed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), staging_folder(tmp_path / "out") as part:
        interrupt_after_writing(part / "a")
    assert names(tmp_path) == []


def test_disk_errors_are_one_line(tmp_path: Path) -> None:
    full = f"the disk of {tmp_path} is full: free space and run the command again, later"
    with pytest.raises(RunError, match=full), disk_errors(tmp_path, ", later"):
        raise OSError(errno.ENOSPC, "No space left on device")
    denied = rf"{tmp_path} cannot be written \(Permission denied\): fix that"
    with pytest.raises(RunError, match=denied), disk_errors(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied")
