"""Unpack a tar, gzipped or not, from an untrusted source. Either all of its files are unpacked, below one folder, or none.

Members are copied one by one instead of with `extractall`: its filter "data" is missing in Python 3.11.0 to 3.11.3, and
accepts links.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from vocctl.data.archive import Limits, MemberWriter, OnProgress, one_line, safe_member_path
from vocctl.errors import DataError
from vocctl.files import staging_folder

# What reading a corrupt tar raises. The last three occur if a file and a folder of the tar have the same name.
_CORRUPT = (
    tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, RecursionError, FileExistsError,
    IsADirectoryError, NotADirectoryError,
)  # fmt: skip
GZIP = b"\x1f\x8b"  # its first bytes
MAX_READ = 1 << 20  # bytes that tarfile may ask for at once

Select = Callable[[PurePosixPath], bool]


def unpack_tar(
    archive: Path,
    target: Path,
    *,
    select: Select | None = None,
    limits: Limits | None = None,
    on_progress: OnProgress | None = None,
) -> None:
    """Unpack a tar into target. on_progress: called with (bytes of the archive read, all its bytes).

    select: whether to unpack the member with this path; None: all. The limits count the others too.
    Refuses links, devices, paths outside of target, and archives above the limits; overwrites nothing in target.
    Raises DataError (the archive, or what target already contains) and RunError (the disk).
    """
    if not archive.is_file():
        raise DataError(f"{archive} is missing: download it again")
    with staging_folder(target) as folder:
        try:
            _copy_members(archive, MemberWriter(archive, folder, limits or Limits()), select, on_progress)
        except _CORRUPT as error:
            raise DataError(
                f"{archive} is not a valid tar archive (corrupt or truncated: {one_line(error)}): download it again"
            ) from error


class _CappedReader(io.BufferedReader):
    """Refuses a long read. tarfile reads the data of a header at once, and a gzipped tar can declare gigabytes of it."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= MAX_READ:
            raise tarfile.ReadError("a header of more than 1 MB")
        return super().read(size)


def _copy_members(archive: Path, writer: MemberWriter, select: Select | None, on_progress: OnProgress | None) -> None:
    archive_size = archive.stat().st_size
    with archive.open("rb") as file:
        is_gzip = file.read(len(GZIP)) == GZIP
        file.seek(0)
        unzipped = gzip.GzipFile(fileobj=file) if is_gzip else file
        stream = cast(BinaryIO, _CappedReader(cast(io.RawIOBase, unzipped)))
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            for member in tar:
                _copy_member(tar, member, writer, select)
                if on_progress is not None:
                    on_progress(file.tell(), archive_size)
            # A complete tar ends with blocks of zeros, but tarfile also takes a corrupt header for the end.
            stream.seek(tar.offset)
            if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("no end marker")


def _copy_member(tar: tarfile.TarFile, member: tarfile.TarInfo, writer: MemberWriter, select: Select | None) -> None:
    selected = select is None or select(PurePosixPath(member.name))
    problem = _problem(member) if selected else None
    path = safe_member_path(member.name, writer.archive, is_folder=member.isdir(), problem=problem)
    if not selected:
        writer.skip(member.size)
        return
    content = tar.extractfile(member)
    if content is None:
        writer.add_folder(path)
        return
    with content:
        writer.add_file(path, content, member.size)


def _problem(member: tarfile.TarInfo) -> str | None:
    is_plain = (member.isreg() or member.isdir()) and not member.issparse() and member.size >= 0
    return None if is_plain else "is a link, a device or a sparse file"
