"""Kaggle, through its own client: the competition's data, the day's limits, an upload and its score.

Source: the package kaggle 2.2.4 (kaggle_api_extended.py, kagglesdk). No other file imports it, and this one only inside
functions: its import looks for credentials, asks Kaggle about them, prints, and exits the process where it finds none.
What it prints is never shown, what it raises is told in our own words, and our errors carry no cause: headers and
addresses in them hold secrets. It knows no time limit, so that its requests get one here.
"""

import contextlib
import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vocctl.errors import DataError, NetworkError, RunError, VocctlError

TOKENS = "https://www.kaggle.com/settings/api"
TIMEOUT = (15.0, 120.0)  # seconds: to connect, and without a byte
POLL = 5.0  # seconds between two looks at a submission
SHOWN = 200  # characters of a server's message
T = TypeVar("T")
VERBOSE = ("VERBOSE", "VERBOSE_OUTPUT")  # where set, the client prints every header

OnBytes = Callable[[int, int | None], None]  # bytes so far, and in all (None: not known)
OnWait = Callable[[int, int | None], None]  # seconds waited, and at most


@dataclass(frozen=True)
class Limits:
    today: int  # submissions made since midnight UTC
    total: int  # ever
    left: int  # allowed until the next midnight UTC


@dataclass(frozen=True)
class SubmissionStatus:
    """status: pending, complete, error."""

    ref: int
    status: str
    public_score: str  # as the server writes it; empty where there is none
    reason: str  # the server's, of an error


def credentials() -> str | None:
    """Which kind there is and where it lies, never what it holds; None: none. Looks where the client does, in its order.

    The client may find at the server that a token is no longer good, and go on to the next kind.
    """
    home = Path.home() / ".kaggle"
    if os.environ.get("KAGGLE_KERNEL_RUN_TYPE") and os.environ.get("KAGGLE_API_V1_TOKEN"):
        return "the notebook's access token"
    if os.environ.get("KAGGLE_API_TOKEN"):
        return "an access token, KAGGLE_API_TOKEN"
    for name in ("access_token", "access_token.txt"):
        if (home / name).is_file():
            return f"an access token, {home / name}"
    if os.environ.get("KAGGLE_USERNAME") and os.environ.get("KAGGLE_KEY"):
        return "an API key, KAGGLE_USERNAME and KAGGLE_KEY"
    if (key := _config_folder() / "kaggle.json").is_file():
        return f"an API key, {key}"
    if (home / "credentials.json").is_file():
        return f"a login, {home / 'credentials.json'}"
    return None


def _config_folder() -> Path:
    if named := os.environ.get("KAGGLE_CONFIG_DIR"):
        return Path(named)
    old = Path.home() / ".kaggle"
    return old if old.is_dir() else Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kaggle"


class Kaggle:
    """A client that Kaggle has let in. slug: the competition that every call is about."""

    def __init__(self, slug: str) -> None:
        """Raises NetworkError: no credentials, none that Kaggle takes, or no way to Kaggle."""
        found = credentials()
        if found is None:
            raise NetworkError(
                f"no Kaggle credentials are here: make a token at {TOKENS}, then set KAGGLE_API_TOKEN to it or save it as "
                "~/.kaggle/access_token"
            )
        self.slug, self.credentials = slug, found
        self._api: Any = None
        self._api = self._ask("log in", _authenticated)
        if "LEGACY" in str(self._api.config_values.get("auth_method")) and "API key" not in found:
            self.credentials = "an API key, after an access token that is no longer good"

    def limits(self) -> Limits:
        limits = self._ask("read the limits", lambda: self._api.competition_get_submission_limits(self.slug))
        return Limits(limits.num_today, limits.num_total, limits.num_allowed_now)

    def upload(self, path: Path, message: str) -> int:
        """Submit the file; returns the submission's number. Raises NetworkError: the file did not arrive, or is refused."""
        answer = self._ask("submit", lambda: self._api.competition_submit(str(path), message, self.slug, quiet=True))
        if answer.message == self._api.COMPETITION_SUBMIT_UPLOAD_FAILED_MESSAGE or not answer.ref:
            raise NetworkError(f"the upload of {path} broke off on Kaggle's side, nothing was submitted: try again")
        return int(answer.ref)

    def outcome(self, ref: int) -> SubmissionStatus:
        listed = self._ask("see your submissions", lambda: self._api.competition_submissions(self.slug, page_size=100))
        for one in listed or []:
            if one is not None and one.ref == ref:
                reason = self._plain(one.error_description or "")
                return SubmissionStatus(ref, one.status.name.lower(), self._plain(one.public_score or ""), reason)
        return SubmissionStatus(ref, "pending", "", "")

    def wait(self, ref: int, seconds: float, on_wait: OnWait | None = None) -> SubmissionStatus:
        """Look until it is scored or refused, for so long at most. A look that fails is made again until then."""
        resumed = time.monotonic()
        latest = SubmissionStatus(ref, "pending", "", "")
        while True:
            with contextlib.suppress(NetworkError):
                latest = self.outcome(ref)
            waited = time.monotonic() - resumed
            if on_wait is not None:
                on_wait(int(min(waited, seconds)), int(seconds))
            if latest.status != "pending" or waited + POLL > seconds:
                return latest
            time.sleep(POLL)

    def download(self, folder: Path, on_bytes: OnBytes | None = None) -> Path:
        """The competition's zip in folder; a part of it that lies there is gone on with. Raises NetworkError, RunError."""
        path = folder / f"{self.slug}.zip"
        with _watched(path, on_bytes):
            self._ask("download", lambda: self._api.competition_download_files(self.slug, path=str(folder), quiet=True))
        if not path.is_file():
            raise DataError(
                f"Kaggle sent no zip of {self.slug}: download it in a browser, unpack it, and name it as --data"
            )
        return path

    def _ask(self, doing: str, call: Callable[[], T]) -> T:
        """call(), quiet and with time limits; whatever the client raises becomes one line of ours, and nothing else.

        Raised outside of the except block, our error carries no trace of the client's.
        """
        failure: VocctlError
        try:
            with _quiet(), _bounded():
                return call()
        except SystemExit:
            failure = NetworkError(
                f"Kaggle does not take the credentials ({self.credentials}): make a new token at {TOKENS}"
            )
        except ImportError as error:
            failure = NetworkError(f"the package kaggle does not import ({error.name}): install vocctl again")
        except Exception as error:  # the client raises requests', urllib3's and its own, and bare ones
            failure = self._in_our_words(error, doing)
        raise failure

    def _in_our_words(self, error: Exception, doing: str) -> VocctlError:
        import requests

        response = getattr(error, "response", None)
        if isinstance(error, requests.exceptions.HTTPError) and response is not None:
            code = response.status_code
            said = self._plain(_message(response))
            if code == 401:
                return NetworkError(
                    f"Kaggle refuses the credentials ({self.credentials}, HTTP 401): make a new token at {TOKENS}"
                )
            if code == 403:
                return NetworkError(
                    f"Kaggle does not let you {doing} (HTTP 403): join and accept the rules at "
                    f"https://www.kaggle.com/competitions/{self.slug}/rules, then run it again"
                )
            if code == 404:
                return NetworkError(
                    f"Kaggle knows no competition {self.slug} (HTTP 404): `vocctl download --years` lists them"
                )
            if code == 429:
                return NetworkError("Kaggle is asked too often (HTTP 429): wait a few minutes and run it again")
            if code >= 500:
                return NetworkError(f"Kaggle fails on its side (HTTP {code}): run it again later")
            return NetworkError(
                f"Kaggle does not let you {doing} (HTTP {code}{': ' + said if said else ''}): mend that first"
            )
        if isinstance(error, requests.exceptions.InvalidHeader | UnicodeError) or type(error) is ValueError:
            return NetworkError(
                f"the credentials ({self.credentials}) hold a character that no header may: copy them anew from {TOKENS}"
            )
        if isinstance(error, requests.exceptions.RequestException):
            return NetworkError(
                f"Kaggle can't be reached to {doing} ({type(error).__name__}): look at the network and run it again"
            )
        if isinstance(error, OSError):
            return RunError(
                f"{error.filename or 'the disk'} can't be used ({error.strerror}): mend that and run it again"
            )
        return NetworkError(
            f"the Kaggle client can't {doing} ({type(error).__name__}): run it again, or use the website"
        )

    def _plain(self, text: str) -> str:
        """One line of what the server says, cut short, with no secret in it."""
        line = " ".join(str(text).split())
        for secret in self._secrets():
            line = line.replace(secret, "***")
        return line[:SHOWN]

    def _secrets(self) -> list[str]:
        values = getattr(self._api, "config_values", {}) or {}
        held = [
            values.get("key"),
            values.get("token"),
            os.environ.get("KAGGLE_KEY"),
            os.environ.get("KAGGLE_API_TOKEN"),
        ]
        return [secret for secret in held if secret]


def _authenticated() -> Any:
    from kaggle.api.kaggle_api_extended import KaggleApi

    api = KaggleApi()
    api.authenticate()
    return api


def _message(response: Any) -> str:
    try:
        answer = response.json()
    except ValueError:
        return ""
    return str(answer.get("message", "")) if isinstance(answer, dict) else ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing that the client prints is seen, and it is not asked to print headers."""
    asked = {name: os.environ.pop(name) for name in VERBOSE if name in os.environ}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        os.environ.update(asked)


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Every request without a time limit of its own gets ours."""
    import requests

    send = requests.Session.send

    def limited(session: requests.Session, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        if settings.get("timeout") is None:
            settings["timeout"] = TIMEOUT
        return send(session, request, **settings)

    requests.Session.send = limited  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        requests.Session.send = send  # type: ignore[method-assign]


@contextlib.contextmanager
def _watched(path: Path, on_bytes: OnBytes | None) -> Iterator[None]:
    """Tells how long the file is while the client, which can't be asked, writes it."""
    if on_bytes is None:
        yield
        return
    over = threading.Event()
    marker = path.with_name(path.name + ".kaggle-partial")

    def look() -> None:
        while not over.wait(0.2):
            with contextlib.suppress(OSError, ValueError):
                total = json.loads(marker.read_text(encoding="utf-8")).get("size") if marker.is_file() else None
                on_bytes(path.stat().st_size, total)

    watching = threading.Thread(target=look, daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
