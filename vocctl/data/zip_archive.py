"""Unpack a zip from an untrusted source: all of its files, below one folder, or none."""

import errno
import lzma
import stat
import zipfile
import zlib
from pathlib import Path

from vocctl.data.archive import Limits, MemberWriter, OnBytes, one_line, safe_member_path
from vocctl.errors import DataError
from vocctl.files import staging_folder

# What reading a corrupt zip raises.
_CORRUPT = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError)
# OSErrors that are not the disk's: those of bz2 have no number; the others: a file and a folder have the same name.
_NOT_THE_DISK = (None, errno.EEXIST, errno.EISDIR, errno.ENOTDIR)


def unpack_zip(archive: Path, target: Path, *, limits: Limits | None = None, on_bytes: OnBytes | None = None) -> None:
    """Unpack a zip into target. on_bytes: called with (bytes unpacked, all bytes).

    Refuses links, encrypted members, paths that lead out of target, and archives above the limits; overwrites nothing in
    target. Raises DataError (the archive, or what target already contains) and RunError (the disk).
    """
    with staging_folder(target) as folder:
        try:
            _copy_members(archive, MemberWriter(archive, folder, limits or Limits()), on_bytes)
        except (*_CORRUPT, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _NOT_THE_DISK:
                raise
            raise DataError(f"{archive} is not a complete zip ({one_line(error)}): download it again") from error


def _copy_members(archive: Path, writer: MemberWriter, on_bytes: OnBytes | None) -> None:
    with zipfile.ZipFile(archive) as zip_file:
        members = zip_file.infolist()
        total = sum(member.file_size for member in members)
        writer.limits.check(archive, total, len(members))
        for member in members:
            path = safe_member_path(member.filename, archive, is_folder=member.is_dir(), problem=_problem(member))
            if member.is_dir():
                writer.add_folder(path)
                continue
            with zip_file.open(member) as content:
                writer.add_file(path, content, member.file_size)
            if on_bytes is not None:
                on_bytes(writer.num_bytes, total)


def _problem(member: zipfile.ZipInfo) -> str | None:
    file_type = stat.S_IFMT(member.external_attr >> 16)
    if file_type not in (0, stat.S_IFREG, stat.S_IFDIR):  # 0: unknown, as other systems than Unix write it
        return "is a link or a device"
    return "is encrypted" if member.flag_bits & 1 else None
