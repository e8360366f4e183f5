"""Download a file over HTTP: resumed after interruptions, checked by its md5, complete or absent.

requests retries failed connections and busy servers; this module resumes a download that broke off. Bytes go to
`<target>.part`, which is renamed when its md5 is right.
"""

import hashlib
import time
from collections.abc import Sequence
from contextlib import closing
from http.client import responses
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from vocctl import __version__
from vocctl.data.archive import BLOCK_SIZE, OnProgress, one_line
from vocctl.errors import ConfigError, DataError, NetworkError
from vocctl.files import disk_errors

MIN_PROGRESS = 1 << 20  # bytes: a try that brings this much more is not counted as a failed one
BUSY_STATUSES = (408, 429, 500, 502, 503, 504)  # the server may answer a later request


class _Interrupted(Exception):
    """The download broke off; the next try may complete it."""


class _Unavailable(Exception):
    """This address does not provide the file."""


def file_md5(path: Path) -> str:
    """Hex md5 of a file. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def check_md5(path: Path, md5: str) -> None:
    """Check the file that --archive names. Raises DataError: it does not exist, or its content differs."""
    if not path.is_file():
        raise DataError(f"{path} is not a file: fix --archive")
    try:
        actual = file_md5(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): fix --archive") from error
    if actual != md5:
        raise DataError(f"{path} has md5 {actual}, expected {md5}: it is another file or corrupt: download it again")


def fetch(
    urls: Sequence[str],
    target: Path,
    *,
    md5: str | None,
    on_progress: OnProgress | None = None,
    retries: int = 3,
    timeout: float = 30.0,
    pause: float = 1.0,
) -> None:
    """Download the file from the first address that provides it. On failure there is no file at target.

    An interrupted download resumes from `<target>.part` if md5 is given, as only md5 shows that the part belongs to
    this file.
    retries: tries after the first, per address. timeout: seconds without a byte. pause: seconds before a second retry,
    doubled for each further one. Raises ConfigError (invalid addresses), NetworkError (no address provides the file)
    and RunError (the disk).
    """
    if not urls:
        raise ConfigError("no address to download from: give one with --url")
    for url in urls:
        _check_url(url)
    part = target.with_name(target.name + ".part")
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if md5 is not None and target.is_file() and file_md5(target) == md5:
            return
    reasons = []
    for url in urls:
        with disk_errors(part, " (it resumes from what was downloaded)"), _session(retries, pause) as session:
            if md5 is None:
                part.unlink(missing_ok=True)
            try:
                _Download(session, url, part, md5, timeout, on_progress).run(retries, pause)
            except (_Unavailable, _Interrupted) as error:
                reasons.append(f"{urlsplit(url).netloc}: {error}")
                continue
            part.replace(target)
            return
    raise NetworkError(
        f"{target.name} could not be downloaded ({'; '.join(reasons)}): give another address with --url, or a file that "
        "you downloaded in another way with --archive FILE"
    )


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:  # an invalid port or IPv6 host
        valid = False
    if not valid or not url.isascii() or any(char <= " " or char == "\x7f" for char in url):
        raise ConfigError(f"{url!r} is not a valid address: give one like http://host/path or https://host/path")


def _session(retries: int, pause: float) -> requests.Session:
    """A session that retries connections and busy servers. It opens only http and https addresses, redirects included."""
    retry = Retry(
        total=retries, backoff_factor=pause, status_forcelist=BUSY_STATUSES, raise_on_status=False,
        respect_retry_after_header=False,  # a server could ask for any pause
    )  # fmt: skip
    session = requests.Session()
    # identity: the file's own bytes, so that their number is the Content-Length and a Range means them
    session.headers.update({"User-Agent": f"vocctl/{__version__}", "Accept-Encoding": "identity"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


class _Download:
    """The download of one address into part. Raises _Unavailable, _Interrupted and OSError."""

    def __init__(
        self,
        session: requests.Session,
        url: str,
        part: Path,
        md5: str | None,
        timeout: float,
        on_progress: OnProgress | None,
    ) -> None:
        self.session, self.url, self.part, self.md5 = session, url, part, md5
        self.timeout, self.on_progress = timeout, on_progress

    def run(self, retries: int, pause: float) -> None:
        """Download until part is complete and right. A try that brings MIN_PROGRESS more bytes does not use up a retry."""
        failures, longest = 0, self._part_size()
        while True:
            try:
                self._try_once()
                return
            except _Interrupted:
                gained, longest = self._part_size() - longest, max(longest, self._part_size())
                failures = 1 if gained >= MIN_PROGRESS else failures + 1
                if failures > retries:
                    raise
            time.sleep(pause * 2 ** (failures - 1))

    def _try_once(self) -> None:
        resumed = self._part_size() > 0
        self._receive()
        if self.md5 is None or file_md5(self.part) == self.md5:
            return
        self.part.unlink()
        error = _Interrupted if resumed else _Unavailable  # a complete download of wrong bytes would bring them again
        raise error("the file has another md5 than expected")

    def _receive(self) -> None:
        """Append the bytes that part lacks, or write all of them if the server does not resume."""
        start = self._part_size()
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            response = self.session.get(self.url, headers=headers, stream=True, timeout=self.timeout)
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            raise _Unavailable(_root_cause(error)) from error
        with closing(response):
            if self._is_complete(response, start):
                return
            done = self._first_byte(response, start)
            length = response.headers.get("Content-Length", "")
            self._copy(response, done, done + int(length) if length.isdigit() else None)

    def _is_complete(self, response: requests.Response, start: int) -> bool:
        """Whether the server says that there is nothing after the part. If the part is longer than the file, remove it."""
        if response.status_code != 416 or not start:
            return False
        if response.headers.get("Content-Range", "").replace(" ", "") == f"bytes*/{start}":
            return True
        self.part.unlink()
        raise _Interrupted(_status(response))

    def _first_byte(self, response: requests.Response, start: int) -> int:
        """Position in the file of the first byte of the response."""
        if response.status_code == 200:
            return 0
        if response.status_code != 206:
            raise _Unavailable(_status(response))
        if response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            return start
        self.part.unlink(missing_ok=True)
        raise _Interrupted("HTTP 206 with other bytes than requested")

    def _copy(self, response: requests.Response, done: int, total: int | None) -> None:
        """Copy the response's bytes to part from position done on. total: size of the file; None: unknown."""
        with self.part.open("ab" if done else "wb") as out:
            while block := self._read(response, done, total):
                out.write(block)
                done += len(block)
                if self.on_progress is not None:
                    self.on_progress(done, total)
        if total is not None and done < total:
            raise _Interrupted(_closed_after(done, total))

    @staticmethod
    def _read(response: requests.Response, done: int, total: int | None) -> bytes:
        try:
            return response.raw.read(BLOCK_SIZE, decode_content=False)
        except urllib3.exceptions.ProtocolError as error:
            raise _Interrupted(_closed_after(done, total)) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _Interrupted(_root_cause(error)) from error

    def _part_size(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0


def _closed_after(done: int, total: int | None) -> str:
    return f"the connection closed after {done} of {'an unknown number of' if total is None else total} bytes"


def _status(response: requests.Response) -> str:
    return f"HTTP {response.status_code} {responses.get(response.status_code, '')}".rstrip()


def _root_cause(error: BaseException) -> str:
    """The first exception of a chain in a few words: requests and urllib3 wrap the system's error several times."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return getattr(error, "strerror", None) or one_line(error)
