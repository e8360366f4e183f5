"""Unpacking zips: correct ones, corrupt ones, and ones with dangerous members."""

import stat
import zipfile
from pathlib import Path

import pytest

from vocctl.data.archive import Limits
from vocctl.data.zip_archive import unpack_zip
from vocctl.errors import DataError


def zip_of(path: Path, members: dict[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, body)
    return path


def test_every_file_is_unpacked(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"train/x.npy": b"one", "test/": b"", "test/y.npy": b"two"})
    counts = []
    unpack_zip(archive, tmp_path / "out", on_progress=lambda done, total: counts.append((done, total)))
    assert (tmp_path / "out" / "train" / "x.npy").read_bytes() == b"one"
    assert (tmp_path / "out" / "test" / "y.npy").read_bytes() == b"two"
    assert counts == [(3, 6), (6, 6)]


@pytest.mark.parametrize(
    ("members", "mode", "problem"),
    [
        ({"a": b"1", "../evil": b"2"}, 0, "would be written outside of the output folder"),
        ({"a": b"1", "/evil": b"2"}, 0, "would be written outside of the output folder"),
        ({"a": b"1", "b\\..\\evil": b"2"}, 0, "would be written outside of the output folder"),
        ({"a": b"1", "C:evil": b"2"}, 0, "would be written outside of the output folder"),
        ({"link": b"/etc/passwd"}, stat.S_IFLNK | 0o777, "is a link or a device"),
    ],
)
def test_unsafe_members_are_refused(tmp_path, members, mode, problem):
    archive = zip_of(tmp_path / "a.zip", members, mode)
    with pytest.raises(DataError, match=problem):
        unpack_zip(archive, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip"]
    assert not (tmp_path.parent / "evil").exists()


def test_limits_of_bytes_and_members(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"zeros": bytes(1 << 20), "b": b""})
    for limits in (Limits(max_bytes=1000), Limits(max_members=1)):
        with pytest.raises(DataError, match="has more than"):
            unpack_zip(archive, tmp_path / "out", limits=limits)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("body", [b"not a zip", b""], ids=["text", "empty"])
def test_files_that_are_not_zips_are_refused(tmp_path, body):
    (tmp_path / "a.zip").write_bytes(body)
    with pytest.raises(DataError, match="not a valid zip archive"):
        unpack_zip(tmp_path / "a.zip", tmp_path / "out")


def test_corrupt_zip_is_refused(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"a": bytes(range(256)) * 20})
    data = bytearray(archive.read_bytes())
    data[60] ^= 255  # one byte of the compressed data, which begins at 31
    archive.write_bytes(data)
    with pytest.raises(DataError, match="not a valid zip archive"):
        unpack_zip(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_corrupt_bzip2_and_lzma_members_are_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("a", bytes(range(256)) * 20)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[50:70] = bytes(20)  # in the compressed data, which begins at 31
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match="not a valid zip archive"):
        unpack_zip(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_file_and_folder_with_the_same_name_are_refused(tmp_path):
    for members in ({"a": b"1", "a/b": b"2"}, {"a/b": b"2", "a": b"1"}):
        with pytest.raises(DataError, match="not a valid zip archive"):
            unpack_zip(zip_of(tmp_path / "a.zip", members), tmp_path / "out")


def test_encrypted_member_is_refused(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"a": b"secret"})
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the encryption flag, in the central directory
    archive.write_bytes(data)
    with pytest.raises(DataError, match="is encrypted"):
        unpack_zip(archive, tmp_path / "out")


def test_existing_files_are_not_overwritten(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("mine")
    with pytest.raises(DataError, match="already exists"):
        unpack_zip(zip_of(tmp_path / "a.zip", {"a": b"theirs"}), tmp_path / "out")
    assert (tmp_path / "out" / "a").read_text() == "mine"


def test_member_larger_than_declared_is_refused(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"zeros": bytes(1 << 20)})
    data = bytearray(archive.read_bytes())
    directory = data.index(b"PK\x01\x02")
    # the uncompressed size in the central directory
    data[directory + 24 : directory + 28] = (10).to_bytes(4, "little")
    archive.write_bytes(data)
    with pytest.raises(DataError, match="not a valid zip archive"):
        unpack_zip(archive, tmp_path / "out", limits=Limits(max_bytes=1000))
    assert not (tmp_path / "out").exists()
