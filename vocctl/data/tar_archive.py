"""Unpack a tar from an untrusted source: all of its files, below one folder, or none.

Members are copied one by one instead of with `extractall`: its filter "data" is missing in Python 3.11.0 to 3.11.3, and
accepts links.
"""

import tarfile
from pathlib import Path

from vocctl.data.archive import Limits, MemberWriter, OnBytes, one_line, safe_member_path
from vocctl.errors import DataError
from vocctl.files import staging_folder

# What reading a corrupt tar raises; the last three: a file and a folder have the same name.
_CORRUPT = (
    tarfile.TarError, EOFError, ValueError, RecursionError, FileExistsError, IsADirectoryError, NotADirectoryError
)  # fmt: skip


def unpack_tar(archive: Path, target: Path, *, limits: Limits | None = None, on_bytes: OnBytes | None = None) -> None:
    """Unpack an uncompressed tar into target. on_bytes: called with (bytes of the archive read, all its bytes).

    Refuses links, devices, paths that lead out of target, and archives above the limits; overwrites nothing in target.
    Raises DataError (the archive, or what target already contains) and RunError (the disk).
    """
    if not archive.is_file():
        raise DataError(f"{archive} is missing: download it again")
    with staging_folder(target) as folder:
        try:
            _copy_members(archive, MemberWriter(archive, folder, limits or Limits()), on_bytes)
        except _CORRUPT as error:
            raise DataError(f"{archive} is not a complete tar ({one_line(error)}): download it again") from error


def _copy_members(archive: Path, writer: MemberWriter, on_bytes: OnBytes | None) -> None:
    archive_size = archive.stat().st_size
    with archive.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
        for member in tar:
            path = safe_member_path(member.name, archive, is_folder=member.isdir(), problem=_problem(member))
            content = tar.extractfile(member)
            if content is None:
                writer.add_folder(path)
                continue
            with content:
                writer.add_file(path, content, member.size)
            if on_bytes is not None:
                on_bytes(stream.tell(), archive_size)
        # A complete tar ends with blocks of zeros, but tarfile also takes a corrupt header for the end.
        stream.seek(tar.offset)
        if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("it has no end marker")


def _problem(member: tarfile.TarInfo) -> str | None:
    is_plain = (member.isreg() or member.isdir()) and not member.issparse() and member.size >= 0
    return None if is_plain else "is a link, a device or a sparse file"
