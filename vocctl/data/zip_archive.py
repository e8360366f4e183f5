"""Unpacking a zip that nobody vouches for: all of its files, below one folder, or none.

Members are copied one by one and counted as they are read: what a zip declares of its sizes need not be true.
"""

import errno
import lzma
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from vocctl.data.archive import BLOCK, MAX_BYTES, MAX_MEMBERS, OnBytes, all_or_none
from vocctl.errors import DataError

# What a zip raises whose bytes make no sense.
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError)
_NOT_THE_DISK = (None, errno.EEXIST, errno.EISDIR, errno.ENOTDIR)  # bz2's errors have no number; one name for two files


def unpack_zip(
    archive: Path,
    target: Path,
    *,
    max_bytes: int = MAX_BYTES,
    max_members: int = MAX_MEMBERS,
    on_bytes: OnBytes | None = None,
) -> None:
    """A zip's files to below target, all of them or none. on_bytes: unpacked bytes so far, and in all.

    Refuses links, encrypted members, paths that lead out, and more than the two bounds; what target holds is not
    overwritten. Raises DataError (the zip, or what target holds already) and RunError (disk).
    """
    with all_or_none(target) as folder:
        try:
            _copy_members(archive, folder, max_bytes, max_members, on_bytes)
        except (*_BROKEN, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _NOT_THE_DISK:
                raise
            why = " ".join(str(error).split())[:120] or type(error).__name__
            raise DataError(f"{archive} is no whole zip ({why}): fetch it again") from error


def _copy_members(archive: Path, folder: Path, max_bytes: int, max_members: int, on_bytes: OnBytes | None) -> None:
    limit = f"{archive} holds more than {max_bytes} bytes or {max_members} files: no data of this competition does"
    with zipfile.ZipFile(archive) as held:
        members = held.infolist()
        total, done = sum(member.file_size for member in members), 0
        if total > max_bytes or len(members) > max_members:
            raise DataError(f"{limit}, fetch another")
        for member in members:
            place = folder / _inside(member, archive)
            if member.is_dir():
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            with held.open(member) as inner, place.open("wb") as out:
                while block := inner.read(BLOCK):
                    done += len(block)
                    if done > max_bytes:
                        raise DataError(f"{limit}, fetch another")
                    out.write(block)
            if on_bytes is not None:
                on_bytes(done, total)


def _inside(member: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    """The member's path below the target. Raises DataError: it leads elsewhere, or is no plain file and no folder."""
    path = PurePosixPath(member.filename)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or any(char in member.filename for char in "\\:\0"):
        wrong = "leads out of its folder"
    elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        wrong = "is a link or a device"
    elif member.flag_bits & 1:
        wrong = "is encrypted"
    elif not path.parts:
        wrong = "has no name"
    else:
        return path
    raise DataError(f"{archive} is not safe to unpack: its member {member.filename!r} {wrong}, fetch the archive again")
