"""Limits and paths of archive members, whatever the archive's format."""

import io
from pathlib import Path, PurePosixPath

import pytest

from vocctl.data.archive import BLOCK_SIZE, Limits, MemberWriter, one_line, safe_member_path
from vocctl.errors import DataError

ARCHIVE = Path("a.zip")


def test_safe_path_is_returned():
    assert safe_member_path("a/./b.txt", ARCHIVE, is_folder=False, problem=None) == PurePosixPath("a/b.txt")
    assert safe_member_path("./", ARCHIVE, is_folder=True, problem=None) == PurePosixPath(".")


@pytest.mark.parametrize(
    ("name", "problem", "message"),
    [
        ("../a", None, "outside of the output folder"),
        ("a/../../b", None, "outside of the output folder"),
        ("/a", None, "outside of the output folder"),
        ("a\\..\\b", None, "outside of the output folder"),
        ("C:a", None, "outside of the output folder"),
        ("a\0b", None, "outside of the output folder"),
        (".", None, "has no name"),
        ("", None, "has no name"),
        ("a", "is a link", "is a link"),
    ],
)
def test_unsafe_member_is_refused(name, problem, message):
    with pytest.raises(DataError, match=f"a.zip is not safe to unpack.*{message}") as caught:
        safe_member_path(name, ARCHIVE, is_folder=False, problem=problem)
    assert "\n" not in str(caught.value)


def test_writer_counts_the_bytes_that_it_copies_not_those_declared(tmp_path):
    writer = MemberWriter(ARCHIVE, tmp_path, Limits(max_bytes=BLOCK_SIZE + 5))
    writer.add_file(PurePosixPath("in/a"), io.BytesIO(b"12345"), declared_size=0)
    assert (tmp_path / "in" / "a").read_bytes() == b"12345"
    writer.add_file(PurePosixPath("b"), io.BytesIO(bytes(BLOCK_SIZE)), declared_size=0)
    with pytest.raises(DataError, match="has more than"):
        writer.add_file(PurePosixPath("c"), io.BytesIO(b"1"), declared_size=0)
    with pytest.raises(DataError, match="has more than"):
        writer.add_file(PurePosixPath("d"), io.BytesIO(b""), declared_size=1)


def test_one_line():
    assert one_line(ValueError("a\n  b")) == "a b"
    assert one_line(ValueError("x" * 200)) == "x" * 120
    assert one_line(EOFError()) == "EOFError"
