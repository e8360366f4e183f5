"""Unpacking tars: correct ones, corrupt ones, and ones with dangerous members."""

import errno
import gzip
import io
import tarfile
from pathlib import Path

import pytest

from vocctl.data.archive import Limits
from vocctl.data.tar_archive import unpack_tar
from vocctl.errors import DataError, RunError, VocctlError


def assert_clean_failure(error: VocctlError, target: Path) -> None:
    """Assert that the error has one line, and that unpacking left nothing at target or next to it."""
    assert "\n" not in str(error)
    assert not target.exists()
    assert not target.with_name(f"{target.name}.part").exists()


Member = tuple[str, bytes | None, dict]  # name, content (None: a folder), fields of the TarInfo


def tar_of(path: Path, *members: Member) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content, fields in members:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(content or b""), tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            for key, value in fields.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content or b""))
    return path


def all_paths(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


GOOD: tuple[Member, ...] = (
    ("VOCdevkit/", None, {}),
    ("VOCdevkit/VOC2009/a.txt", b"a" * 2000, {}),
    ("VOCdevkit/b", b"", {}),
)


def test_every_file_is_unpacked(tmp_path):
    counts = []
    tar = tar_of(tmp_path / "voc.tar", *GOOD)
    unpack_tar(tar, tmp_path / "data" / "voc", on_progress=lambda done, total: counts.append((done, total)))
    assert all_paths(tmp_path / "data") == {
        "voc", "voc/VOCdevkit", "voc/VOCdevkit/VOC2009", "voc/VOCdevkit/VOC2009/a.txt", "voc/VOCdevkit/b"
    }  # fmt: skip
    assert (tmp_path / "data/voc/VOCdevkit/VOC2009/a.txt").read_bytes() == b"a" * 2000
    assert counts
    assert all(0 < done <= total == tar.stat().st_size for done, total in counts)


def test_existing_files_are_not_overwritten(tmp_path):
    tar = tar_of(tmp_path / "voc.tar", *GOOD)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "own.txt").write_text("own")
    unpack_tar(tar, tmp_path / "out")
    (tmp_path / "out" / "VOCdevkit" / "b").write_text("changed")
    with pytest.raises(DataError, match="already exists"):
        unpack_tar(tar, tmp_path / "out")
    assert (tmp_path / "out" / "own.txt").read_text() == "own"
    assert (tmp_path / "out" / "VOCdevkit" / "b").read_text() == "changed"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"own.txt", "VOCdevkit"}
    assert not (tmp_path / "out.part").exists()


def test_stale_part_folder_of_a_killed_process_is_replaced(tmp_path):
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "old").write_text("")
    unpack_tar(tar_of(tmp_path / "voc.tar", *GOOD), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"VOCdevkit"}


UNSAFE: dict[str, tuple[Member, ...]] = {
    "parent": (("../evil", b"x", {}),),
    "deep parent": (("VOCdevkit/../../evil", b"x", {}),),
    "absolute": (("/nowhere/evil-of-vocctl", b"x", {}),),
    "backslash": (("..\\evil", b"x", {}),),
    "symlink out": (("out", b"", {"type": tarfile.SYMTYPE, "linkname": "../"}), ("out/evil", b"x", {})),
    "symlink inside": (("VOCdevkit/c", b"", {"type": tarfile.SYMTYPE, "linkname": "b"}),),
    "hard link": (("link", b"", {"type": tarfile.LNKTYPE, "linkname": "../secret"}),),
    "device": (("null", b"", {"type": tarfile.CHRTYPE}),),
    "fifo": (("pipe", b"", {"type": tarfile.FIFOTYPE}),),
    "sparse bomb": (
        ("bomb", b"x", {"pax_headers": {"GNU.sparse.size": "9000000000", "GNU.sparse.map": "8999999999,1"}}),
    ),
    "nameless": ((".", b"x", {}),),
}


@pytest.mark.parametrize("members", UNSAFE.values(), ids=UNSAFE.keys())
def test_unsafe_members_are_refused(tmp_path, members):
    box = tmp_path / "box"
    box.mkdir()
    (box / "secret").write_text("secret")
    tar = tar_of(box / "voc.tar", *GOOD, *members)
    with pytest.raises(DataError, match="not safe to unpack") as caught:
        unpack_tar(tar, box / "out")
    assert_clean_failure(caught.value, box / "out")
    assert all_paths(tmp_path) == {"box", "box/secret", "box/voc.tar"}
    assert not Path("/nowhere").exists()


def test_limits_of_bytes_and_members(tmp_path):
    tar = tar_of(tmp_path / "voc.tar", *GOOD)  # 2,000 bytes, 3 members
    for limits in (Limits(max_bytes=1999), Limits(max_members=2)):
        with pytest.raises(DataError, match="has more than") as caught:
            unpack_tar(tar, tmp_path / "out", limits=limits)
        assert_clean_failure(caught.value, tmp_path / "out")
    unpack_tar(tar, tmp_path / "out", limits=Limits(max_bytes=2000, max_members=3))


def test_member_that_declares_a_terabyte_is_refused(tmp_path):
    info = tarfile.TarInfo("VOCdevkit/bomb")
    info.size = 1 << 40
    (tmp_path / "voc.tar").write_bytes(info.tobuf() + bytes(10240))
    with pytest.raises(DataError, match="has more than") as caught:
        unpack_tar(tmp_path / "voc.tar", tmp_path / "out")
    assert_clean_failure(caught.value, tmp_path / "out")


@pytest.mark.parametrize("size", [0, 100, 700, 1024, 1500, 2560, 4096])
def test_truncated_tar_is_refused(tmp_path, size):
    content = tar_of(tmp_path / "voc.tar", *GOOD).read_bytes()  # headers at 0, 512, 3072; zeros from 3584
    assert content[3584:] == bytes(len(content) - 3584)
    (tmp_path / "voc.tar").write_bytes(content[: min(size, 3584)])
    with pytest.raises(DataError, match="not a valid tar archive") as caught:
        unpack_tar(tmp_path / "voc.tar", tmp_path / "out")
    assert_clean_failure(caught.value, tmp_path / "out")
    assert not (tmp_path / "out.part").exists()


def test_corrupt_header_is_refused(tmp_path):
    content = bytearray(tar_of(tmp_path / "voc.tar", *GOOD).read_bytes())
    content[3072 + 20] ^= 0xFF  # one byte of the third member's name, so that the checksum of its header is wrong
    (tmp_path / "voc.tar").write_bytes(content)
    with pytest.raises(DataError, match="not a valid tar archive"):
        unpack_tar(tmp_path / "voc.tar", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "members",
    [
        (("a", b"x", {}), ("a/b", b"x", {})),
        (("a/b", b"x", {}), ("a", b"x", {})),
        (("a", b"x", {}), ("a", None, {})),
        (("a", b"x", {"pax_headers": {"GNU.sparse.map": "no,number"}}),),
    ],
    ids=["file then folder", "folder then file", "file then empty folder", "sparse map without numbers"],
)
def test_inconsistent_tar_is_refused(tmp_path, members):
    tar = tar_of(tmp_path / "voc.tar", *members)
    with pytest.raises(DataError, match="not a valid tar archive") as caught:
        unpack_tar(tar, tmp_path / "out")
    assert_clean_failure(caught.value, tmp_path / "out")
    assert all_paths(tmp_path) == {"voc.tar"}


@pytest.mark.parametrize(
    "content", [b"<html>not found</html>" * 100, b"\x1f\x8b" + bytes(2000)], ids=["html", "gzip magic"]
)
def test_files_that_are_not_tars_are_refused(tmp_path, content):
    (tmp_path / "voc.tar").write_bytes(content)
    with pytest.raises(DataError, match="not a valid tar archive") as caught:
        unpack_tar(tmp_path / "voc.tar", tmp_path / "out")
    assert_clean_failure(caught.value, tmp_path / "out")


def test_target_that_is_a_file(tmp_path):
    (tmp_path / "out").write_text("own.txt")
    with pytest.raises(RunError) as caught:
        unpack_tar(tar_of(tmp_path / "voc.tar", *GOOD), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "out").read_text() == "own.txt"
    assert all_paths(tmp_path) == {"out", "voc.tar"}


def test_missing_archive(tmp_path):
    with pytest.raises(DataError, match="is missing") as caught:
        unpack_tar(tmp_path / "voc.tar", tmp_path / "out")
    assert_clean_failure(caught.value, tmp_path / "out")


def test_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def check(limits: Limits, archive: Path, num_bytes: int, num_members: int) -> None:
        if num_bytes > 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    tar = tar_of(tmp_path / "voc.tar", *GOOD)
    monkeypatch.setattr(Limits, "check", check)  # called before each block is written
    with pytest.raises(RunError, match="is full: free space") as caught:
        unpack_tar(tar, tmp_path / "out")
    assert_clean_failure(caught.value, tmp_path / "out")
    assert all_paths(tmp_path) == {"voc.tar"}


def gzipped(path: Path) -> Path:
    path.write_bytes(gzip.compress(path.read_bytes()))
    return path


def test_gzipped_tar(tmp_path):
    tar = gzipped(tar_of(tmp_path / "sbd.tgz", *GOOD))
    counts = []
    unpack_tar(tar, tmp_path / "out", on_progress=lambda done, total: counts.append((done, total)))
    assert (tmp_path / "out/VOCdevkit/VOC2009/a.txt").read_bytes() == b"a" * 2000
    assert all(0 < done <= total == tar.stat().st_size for done, total in counts)


@pytest.mark.parametrize(
    "change",
    [lambda data: data[: len(data) // 2], lambda data: data[:40] + b"xxxx" + data[44:], lambda data: data[:12]],
    ids=["half", "four bytes overwritten", "header only"],
)
def test_corrupt_gzip_is_refused(tmp_path, change):
    tar = gzipped(tar_of(tmp_path / "sbd.tgz", *GOOD))
    tar.write_bytes(change(tar.read_bytes()))
    with pytest.raises(DataError, match="is not a valid tar archive") as caught:
        unpack_tar(tar, tmp_path / "out")
    assert_clean_failure(caught.value, tmp_path / "out")


def test_members_that_are_not_selected_are_left_out(tmp_path):
    """A link that is not unpacked is harmless; a path outside of the folder shows that the archive is hostile."""
    link = ("VOCdevkit/link", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"})
    tar = tar_of(tmp_path / "voc.tar", *GOOD, link)
    unpack_tar(tar, tmp_path / "out", select=lambda path: path.name == "a.txt")
    assert {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()} == {"a.txt"}
    hostile = tar_of(tmp_path / "hostile.tar", *GOOD, ("../evil", b"x", {}))
    with pytest.raises(DataError, match="would be written outside of the output folder"):
        unpack_tar(hostile, tmp_path / "hostile", select=lambda path: path.name == "a.txt")


def test_limits_count_members_that_are_not_selected(tmp_path):
    """30 MB of zeros in 30 KB: reading past them takes time, too."""
    tar = gzipped(tar_of(tmp_path / "sbd.tgz", ("zeros", bytes(30 << 20), {}), *GOOD))
    assert tar.stat().st_size < 100_000
    for limits in (Limits(max_bytes=20 << 20), Limits(max_members=2)):
        with pytest.raises(DataError, match="has more than") as caught:
            unpack_tar(tar, tmp_path / "out", select=lambda path: path.name == "a.txt", limits=limits)
        assert_clean_failure(caught.value, tmp_path / "out")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_long_header_is_not_read_into_memory(tmp_path, kind):
    """tarfile reads the data of such a header at once: 30 MB here, gigabytes in a hostile archive."""
    tar = gzipped(tar_of(tmp_path / "sbd.tgz", ("header", bytes(30 << 20), {"type": kind}), *GOOD))
    with pytest.raises(DataError, match="header of more than 1 MB") as caught:
        unpack_tar(tar, tmp_path / "out")
    assert_clean_failure(caught.value, tmp_path / "out")
