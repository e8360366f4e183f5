"""Zips that are sound, and those that nobody should unpack."""

import stat
import zipfile
from pathlib import Path

import pytest

from vocctl.data.zip_archive import unpack_zip
from vocctl.errors import DataError


def make(path: Path, members: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, body)
    return path


def test_all_of_it_or_nothing(tmp_path):
    archive = make(tmp_path / "a.zip", {"train/x.npy": b"one", "test/": b"", "test/y.npy": b"two"})
    seen = []
    unpack_zip(archive, tmp_path / "out", on_bytes=lambda done, total: seen.append((done, total)))
    assert (tmp_path / "out" / "train" / "x.npy").read_bytes() == b"one"
    assert (tmp_path / "out" / "test" / "y.npy").read_bytes() == b"two"
    assert seen == [(3, 6), (6, 6)]


@pytest.mark.parametrize(
    ("members", "mode", "said"),
    [
        ({"a": b"1", "../evil": b"2"}, 0, "leads out of its folder"),
        ({"a": b"1", "/evil": b"2"}, 0, "leads out of its folder"),
        ({"a": b"1", "b\\..\\evil": b"2"}, 0, "leads out of its folder"),
        ({"a": b"1", "C:evil": b"2"}, 0, "leads out of its folder"),
        ({"link": b"/etc/passwd"}, stat.S_IFLNK | 0o777, "is a link or a device"),
    ],
)
def test_a_member_that_leads_out(tmp_path, members, mode, said):
    archive = make(tmp_path / "a.zip", members, mode)
    with pytest.raises(DataError, match=said):
        unpack_zip(archive, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip"]
    assert not (tmp_path.parent / "evil").exists()


def test_more_bytes_or_files_than_any_such_data_has(tmp_path):
    archive = make(tmp_path / "a.zip", {"zeros": bytes(1 << 20), "b": b""})
    for bounds in ({"max_bytes": 1000}, {"max_members": 1}):
        with pytest.raises(DataError, match="holds more than"):
            unpack_zip(archive, tmp_path / "out", **bounds)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("body", [b"not a zip", b""])
def test_what_is_no_zip(tmp_path, body):
    (tmp_path / "a.zip").write_bytes(body)
    with pytest.raises(DataError, match="no whole zip"):
        unpack_zip(tmp_path / "a.zip", tmp_path / "out")


def test_a_zip_that_was_damaged_on_its_way(tmp_path):
    archive = make(tmp_path / "a.zip", {"a": bytes(range(256)) * 20})
    data = bytearray(archive.read_bytes())
    data[60] ^= 255
    archive.write_bytes(data)
    with pytest.raises(DataError, match="no whole zip"):
        unpack_zip(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_another_kind_of_packing_that_was_damaged(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("a", bytes(range(256)) * 20)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[50:70] = bytes(20)
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match="no whole zip"):
        unpack_zip(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_name_for_a_file_and_a_folder(tmp_path):
    for members in ({"a": b"1", "a/b": b"2"}, {"a/b": b"2", "a": b"1"}):
        with pytest.raises(DataError, match="no whole zip"):
            unpack_zip(make(tmp_path / "a.zip", members), tmp_path / "out")


def test_an_encrypted_member(tmp_path):
    archive = make(tmp_path / "a.zip", {"a": b"secret"})
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the directory
    archive.write_bytes(data)
    with pytest.raises(DataError, match="is encrypted"):
        unpack_zip(archive, tmp_path / "out")


def test_what_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("mine")
    with pytest.raises(DataError, match="is there already"):
        unpack_zip(make(tmp_path / "a.zip", {"a": b"theirs"}), tmp_path / "out")
    assert (tmp_path / "out" / "a").read_text() == "mine"
