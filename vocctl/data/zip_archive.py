"""Unpack a zip from an untrusted source. Either all of its files are unpacked, below one folder, or none."""

import errno
import lzma
import stat
import zipfile
import zlib
from pathlib import Path

from vocctl.data.archive import Limits, MemberWriter, OnProgress, one_line, safe_member_path
from vocctl.errors import DataError
from vocctl.files import staging_folder

# What reading a corrupt zip raises.
_CORRUPT = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError)
# Error numbers of OSErrors that the zip causes, not the disk. Those of bz2 have none; the others occur if a file and a folder
# of the zip have the same name.
_NOT_THE_DISK = (None, errno.EEXIST, errno.EISDIR, errno.ENOTDIR)


def unpack_zip(
    archive: Path, target: Path, *, limits: Limits | None = None, on_progress: OnProgress | None = None
) -> None:
    """Unpack a zip into target. on_progress: called with (bytes unpacked, all bytes).

    Refuses links, encrypted members, paths outside of target, and archives above the limits; overwrites nothing in
    target. Raises DataError (the archive, or what target already contains) and RunError (the disk).
    """
    with staging_folder(target) as folder:
        try:
            _copy_members(archive, MemberWriter(archive, folder, limits or Limits()), on_progress)
        except (*_CORRUPT, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _NOT_THE_DISK:
                raise
            raise DataError(
                f"{archive} is not a valid zip archive (corrupt or truncated: {one_line(error)}): download it again"
            ) from error


def _copy_members(archive: Path, writer: MemberWriter, on_progress: OnProgress | None) -> None:
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
            if on_progress is not None:
                on_progress(writer.num_bytes, total)


def _problem(member: zipfile.ZipInfo) -> str | None:
    file_type = stat.S_IFMT(member.external_attr >> 16)
    if file_type not in (0, stat.S_IFREG, stat.S_IFDIR):  # 0: unknown, as other systems than Unix write it
        return "is a link or a device"
    return "is encrypted" if member.flag_bits & 1 else None
