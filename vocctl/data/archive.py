"""Fetching an archive over HTTP, checking it, and unpacking a tar that nobody vouches for.

A file is whole or not there: bytes go to `<name>.part`, which is renamed when its md5 is right; a tar goes to such a
folder, which is renamed when all is in it. Members are copied one by one rather than by `extractall`: its filter "data"
is missing from Python 3.11.0 to 3.11.3, and lets links through.
"""

import errno
import hashlib
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse, responses
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from vocctl import __version__
from vocctl.errors import ConfigError, DataError, NetworkError, RunError

BLOCK = 1 << 18  # bytes read at a time
GAIN = 1 << 20  # bytes: a try that dropped after this much more is not counted as a failed one
MAX_BYTES = 16 << 30  # of an unpacked archive; VOC2012, the largest, has about 2 GB
MAX_MEMBERS = 500_000

# What a tar raises whose bytes make no sense; the last three: one name for a file and a folder.
_BROKEN = (
    tarfile.TarError, EOFError, ValueError, RecursionError, FileExistsError, IsADirectoryError, NotADirectoryError
)  # fmt: skip

OnBytes = Callable[[int, int | None], None]  # bytes so far, bytes in all (None: the server did not say)


class _Dropped(Exception):
    """This try failed; the next one may not."""


class _Refused(Exception):
    """This address will not give the file."""


@contextmanager
def on_disk(path: Path, kept: str = "") -> Iterator[None]:
    """Turns what the disk refuses into RunError. kept: what the next run starts from."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            then = f"free some space and run it again{kept}"
            raise RunError(f"no space left on the disk of {path}: {then}, or choose another folder") from error
        why = error.strerror or _line(error)
        raise RunError(f"{path} can't be written ({why}): mend that or choose another folder") from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:  # a port or an IPv6 host that is none
        right = False
    if not right or not url.isascii() or any(char <= " " or char == "\x7f" for char in url):
        raise ConfigError(f"{url!r} is no address to fetch from: give one as http://host/path or https://host/path")


def _open(url: str, start: int, timeout: float) -> HTTPResponse:
    """The response's head. start: first byte that is asked for. No scheme but http and https, redirects included."""
    opener = OpenerDirector()
    for handler in (ProxyHandler(), UnknownHandler(), HTTPHandler(), HTTPSHandler(), HTTPDefaultErrorHandler()):
        opener.add_handler(handler)
    opener.add_handler(HTTPRedirectHandler())
    opener.add_handler(HTTPErrorProcessor())
    headers = {"User-Agent": f"vocctl/{__version__}"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        response = opener.open(Request(url, headers=headers), timeout=timeout)
    except HTTPError:
        raise
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise _Dropped(getattr(reason, "strerror", None) or _line(reason)) from error
    assert isinstance(response, HTTPResponse)  # the opener knows nothing else
    return response


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _begin(url: str, part: Path, timeout: float) -> tuple[HTTPResponse | None, int, int | None]:
    """(response, first byte that it sends, bytes of the whole file). No response: part is as long as the file."""
    start = _size(part)
    try:
        response = _open(url, start, timeout)
    except HTTPError as error:
        said = error.headers.get("Content-Range", "")
        error.close()
        answer = f"HTTP {error.code} {responses.get(error.code, '')}".rstrip()
        if error.code == 416 and start:
            if said.replace(" ", "") == f"bytes*/{start}":
                return None, start, start
            part.unlink()
            raise _Dropped(answer) from error
        raise (_Dropped if error.code >= 500 or error.code in (408, 429) else _Refused)(answer) from error
    length = response.headers.get("Content-Length", "")
    size = int(length) if length.isdigit() else None
    if response.status == 200:  # from the first byte, whatever was asked for
        return response, 0, size
    if response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
        return response, start, None if size is None else start + size
    response.close()
    if response.status == 206:
        part.unlink(missing_ok=True)
        raise _Dropped("HTTP 206 with other bytes than were asked for")
    raise _Refused(f"HTTP {response.status}")


def _stream(url: str, part: Path, timeout: float, on_bytes: OnBytes | None) -> None:
    """The rest of the file onto part. Raises _Dropped and _Refused."""
    response, done, total = _begin(url, part, timeout)
    if response is None:
        return
    kept = " (it goes on from what was fetched)"
    with response, on_disk(part, kept), part.open("ab" if done else "wb") as out:
        while True:
            try:
                block = response.read(BLOCK)
            except (OSError, HTTPException) as error:
                raise _Dropped(_line(error)) from error
            if not block:
                break
            _write(out, block)
            done += len(block)
            if on_bytes is not None:
                on_bytes(done, total)
    if total is not None and done < total:
        raise _Dropped(f"closed after {done} of {total} bytes")


def _write(out: IO[bytes], block: bytes) -> None:
    out.write(block)


def file_md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def check_md5(path: Path, md5: str) -> None:
    """Raises DataError: no such file, or one with other bytes."""
    if not path.is_file():
        raise DataError(f"{path} is no file: mend --archive")
    try:
        found = file_md5(path)
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}): mend --archive") from error
    if found != md5:
        raise DataError(f"{path} has md5 {found}, expected {md5}: it is another file or a damaged one, fetch it again")


def _from_address(
    url: str, part: Path, md5: str | None, on_bytes: OnBytes | None, retries: int, timeout: float, pause: float
) -> str | None:
    """None: part is whole and right. Else what the address answered, in a few words."""
    failed, best = 0, _size(part)
    while True:
        resumed = _size(part) > 0
        try:
            _stream(url, part, timeout, on_bytes)
            if md5 is None or file_md5(part) == md5:
                return None
            part.unlink()
            answer = "other bytes than expected (md5)"
            if not resumed:
                return answer
        except _Refused as refusal:
            return str(refusal)
        except _Dropped as drop:
            answer = str(drop)
        gained, best = _size(part) - best, max(best, _size(part))
        failed = 1 if gained >= GAIN else failed + 1
        if failed > retries:
            return answer
        time.sleep(pause * 2 ** (failed - 1))


def fetch(
    urls: Sequence[str],
    target: Path,
    *,
    md5: str | None,
    on_bytes: OnBytes | None = None,
    retries: int = 3,
    timeout: float = 30.0,
    pause: float = 1.0,
) -> None:
    """The file at the first address that has it, whole at target or not there at all.

    An interrupted download goes on from `<target>.part` where md5 can vouch for the sum. retries: tries more after one
    that failed, per address. timeout: seconds without a byte. pause: seconds before the first retry, doubled each time.
    Raises ConfigError (addresses), NetworkError (none gave the file), RunError (disk).
    """
    if not urls:
        raise ConfigError("no address to fetch from: give one with --url")
    for url in urls:
        _check_url(url)
    part = target.with_name(target.name + ".part")
    with on_disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if md5 is not None and target.is_file() and file_md5(target) == md5:
            return
    answers = []
    for url in urls:
        with on_disk(part):
            if md5 is None:  # nothing would notice that a part is from another file
                part.unlink(missing_ok=True)
            answer = _from_address(url, part, md5, on_bytes, retries, timeout, pause)
            if answer is None:
                part.replace(target)
                return
        answers.append(f"{urlsplit(url).netloc}: {answer}")
    raise NetworkError(
        f"{target.name} could not be fetched ({'; '.join(answers)}): give another address with --url, or a file that "
        "was fetched by other means with --archive FILE"
    )


def _inside(member: tarfile.TarInfo, archive: Path) -> PurePosixPath:
    """The member's path below the target. Raises DataError: it leads elsewhere, or is no file and no folder."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or any(char in member.name for char in "\\:\0"):
        wrong = "leads out of its folder"
    elif not (member.isreg() or member.isdir()) or member.issparse() or member.size < 0:
        wrong = "is a link, a device or a sparse file"
    elif member.isreg() and not path.parts:
        wrong = "has no name"
    else:
        return path
    raise DataError(f"{archive} is not safe to unpack: its member {member.name!r} {wrong}, fetch the archive again")


def _copy_members(archive: Path, folder: Path, max_bytes: int, max_members: int, on_bytes: OnBytes | None) -> None:
    """Every member of a plain tar to below folder. Raises DataError and OSError."""
    total, done = archive.stat().st_size, 0
    with archive.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
        for count, member in enumerate(tar, start=1):
            place = folder / _inside(member, archive)
            done += member.size
            if done > max_bytes or count > max_members:
                limit = f"{max_bytes} bytes or {max_members} files"
                raise DataError(f"{archive} holds more than {limit}: no VOC archive does, fetch another")
            if member.isdir():
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            inner = tar.extractfile(member)
            assert inner is not None  # it is a regular file
            with inner, place.open("wb") as out:
                while block := inner.read(BLOCK):
                    _write(out, block)
            if on_bytes is not None:
                on_bytes(stream.tell(), total)
        stream.seek(tar.offset)  # a whole tar ends with blocks of zeros; tarfile takes a broken header for an end, too
        if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("no end of the archive")


def unpack(
    archive: Path,
    target: Path,
    *,
    max_bytes: int = MAX_BYTES,
    max_members: int = MAX_MEMBERS,
    on_bytes: OnBytes | None = None,
) -> None:
    """A plain tar's files to below target, all of them or none. on_bytes: bytes of the archive so far, and in all.

    Refuses links, devices, paths that lead out, and more than the two bounds; what target holds is not overwritten.
    Raises DataError (the archive, or what target holds already) and RunError (disk).
    """
    if not archive.is_file():
        raise DataError(f"{archive} is missing: fetch it again")
    with all_or_none(target) as folder:
        try:
            _copy_members(archive, folder, max_bytes, max_members, on_bytes)
        except _BROKEN as error:
            raise DataError(f"{archive} is no whole tar ({_line(error)}): fetch it again") from error


@contextmanager
def all_or_none(target: Path) -> Iterator[Path]:
    """A folder to fill, which becomes target, or goes into it, where nothing was raised; else nothing of it is left.

    Raises DataError (target holds one of the names already) and RunError (disk).
    """
    target = Path(os.path.abspath(target))
    # inside a folder that is there: it may be a mount or a link, with another disk beside it
    folder = target / ".part" if target.is_dir() else target.with_name(target.name + ".part")
    with on_disk(target):
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        folder.mkdir(parents=True)
        try:
            yield folder
            move_into(folder, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def move_into(folder: Path, target: Path) -> None:
    """What folder holds becomes target, or goes into it. Raises DataError: target holds one of the names already."""
    if not target.exists():
        folder.replace(target)
        return
    entries = sorted(folder.iterdir())
    for entry in entries:
        if (target / entry.name).exists():
            raise DataError(f"{target / entry.name} is there already: delete it or choose another folder")
    for entry in entries:
        entry.replace(target / entry.name)
