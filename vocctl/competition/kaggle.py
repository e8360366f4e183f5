"""Kaggle through its official client: download a competition's data, upload a submission, read limits and scores.

Source: the package kaggle, 2.0.0 to 2.2.4 (kaggle_api_extended.py, kagglesdk), vocctl's extra `kaggle`. Only this file imports
it, and only inside functions: importing it searches for credentials, sends them to Kaggle, prints, and exits the process if
there are none. The client's output is suppressed, and its exceptions become our own errors without a cause, because their
headers and URLs hold secrets. It sets no timeouts, so its requests get ours.
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
from vocctl.folders import home_folder

TOKEN_URL = "https://www.kaggle.com/settings/api"
TIMEOUT = (15.0, 120.0)  # seconds: to connect, and between two received bytes
POLL_INTERVAL = 5.0  # seconds
MAX_SERVER_MESSAGE = 200  # characters of it that are repeated
VERBOSE_VARIABLES = ("VERBOSE", "VERBOSE_OUTPUT")  # make the client print every header
T = TypeVar("T")

OnProgress = Callable[[int, int | None], None]  # called with (bytes received, all bytes; None: unknown)
OnWait = Callable[[int, int | None], None]  # called with (seconds waited, longest wait)


@dataclass(frozen=True)
class SubmissionLimits:
    today: int  # submissions made since midnight UTC
    total: int  # submissions ever made
    remaining_today: int


@dataclass(frozen=True)
class SubmissionStatus:
    ref: int  # Kaggle's number of the submission
    status: str  # pending, complete or error
    public_score: str  # as Kaggle writes it; empty: none
    reason: str  # why it is an error, in Kaggle's words


def find_credentials() -> str | None:
    """Return the kind of the credentials and where they are, without the secret; None: there are none.

    Searches in the client's order. The client may find a token expired, and continue with the next kind.
    """
    home = home_folder()
    if os.environ.get("KAGGLE_KERNEL_RUN_TYPE") and os.environ.get("KAGGLE_API_V1_TOKEN"):
        return "the notebook's access token"
    if os.environ.get("KAGGLE_API_TOKEN"):
        return "an access token, KAGGLE_API_TOKEN"
    for name in ("access_token", "access_token.txt"):
        if home is not None and os.path.isfile(file := home / ".kaggle" / name):  # False too if it may not be read
            return f"an access token, {file}"
    if os.environ.get("KAGGLE_USERNAME") and os.environ.get("KAGGLE_KEY"):
        return "an API key, KAGGLE_USERNAME and KAGGLE_KEY"
    if (folder := _config_folder(home)) is not None and os.path.isfile(file := folder / "kaggle.json"):
        return f"an API key, {file}"
    if home is not None and os.path.isfile(file := home / ".kaggle" / "credentials.json"):
        return f"a login, {file}"
    return None


def _config_folder(home: Path | None) -> Path | None:
    """The folder of the client's kaggle.json. None: it would be in a home folder, and there is none."""
    if folder := os.environ.get("KAGGLE_CONFIG_DIR"):
        return Path(folder)
    if home is not None and os.path.isdir(home / ".kaggle"):
        return home / ".kaggle"
    parent = os.environ.get("XDG_CONFIG_HOME") or (home / ".config" if home is not None else None)
    return None if parent is None else Path(parent) / "kaggle"


class Kaggle:
    """An authenticated client for one competition."""

    def __init__(self, slug: str) -> None:
        """Log in. Raises NetworkError: no credentials, refused credentials, or no connection."""
        credentials = find_credentials()
        if credentials is None:
            raise NetworkError(
                f"no Kaggle credentials found: create a token at {TOKEN_URL}, then set KAGGLE_API_TOKEN to it or save it as "
                "~/.kaggle/access_token"
            )
        self.slug, self.credentials = slug, credentials
        self._api: Any = None
        self._api = self._call("log in", _authenticated_api)
        if "LEGACY" in str(self._api.config_values.get("auth_method")) and "API key" not in credentials:
            self.credentials = "an API key, because the access token has expired"

    def limits(self) -> SubmissionLimits | None:
        """None: the client is too old to ask for them (2.2.0 is, 2.2.4 is not). Raises NetworkError."""
        if not hasattr(self._api, "competition_get_submission_limits"):
            return None
        limits = self._call("read the limits", lambda: self._api.competition_get_submission_limits(self.slug))
        return SubmissionLimits(limits.num_today, limits.num_total, limits.num_allowed_now)

    def upload(self, path: Path, message: str) -> int:
        """Submit a file. Returns Kaggle's number of the submission. Raises NetworkError: the upload failed or is refused."""
        answer = self._call("submit", lambda: self._api.competition_submit(str(path), message, self.slug, quiet=True))
        if not answer.ref:
            raise NetworkError(f"the upload of {path} failed on Kaggle's side, nothing was submitted: try again")
        return int(answer.ref)

    def status(self, ref: int) -> SubmissionStatus:
        """Read the status of a submission; pending if Kaggle does not list it yet. Raises NetworkError."""
        submissions = self._call(
            "list your submissions", lambda: self._api.competition_submissions(self.slug, page_size=100)
        )
        for submission in submissions or []:
            if submission is not None and submission.ref == ref:
                status, score = submission.status.name.lower(), self._redact(submission.public_score or "")
                return SubmissionStatus(ref, status, score, self._redact(submission.error_description or ""))
        return SubmissionStatus(ref, "pending", "", "")

    def wait_for_score(self, ref: int, seconds: float, on_wait: OnWait | None = None) -> SubmissionStatus:
        """Poll until the submission is complete or an error, for at most `seconds`. A failed request is repeated."""
        start = time.monotonic()
        status = SubmissionStatus(ref, "pending", "", "")
        while True:
            with contextlib.suppress(NetworkError):
                status = self.status(ref)
            waited = time.monotonic() - start
            if on_wait is not None:
                on_wait(int(min(waited, seconds)), int(seconds))
            if status.status != "pending" or waited + POLL_INTERVAL > seconds:
                return status
            time.sleep(POLL_INTERVAL)

    def download(self, folder: Path, on_progress: OnProgress | None = None) -> Path:
        """Download the competition's zip into folder; a partial download there is resumed.

        Raises NetworkError, RunError (the disk), and DataError: Kaggle sent another file.
        """
        path = folder / f"{self.slug}.zip"
        with _download_progress(path, on_progress):
            self._call(
                "download", lambda: self._api.competition_download_files(self.slug, path=str(folder), quiet=True)
            )
        if not path.is_file():
            raise DataError(
                f"Kaggle sent no zip of {self.slug}: download it in a browser, unpack it, and give its folder as --data"
            )
        return path

    def _call(self, action: str, function: Callable[[], T]) -> T:
        """Call a function of the client without its output, with timeouts, and with its exceptions as our own.

        Our error is raised outside of the except blocks, so that it has no reference to the client's exception.
        """
        failure: VocctlError
        try:
            with _no_output(), _timeouts():
                return function()
        except SystemExit:
            failure = NetworkError(
                f"Kaggle does not accept the credentials ({self.credentials}): create a new token at {TOKEN_URL}"
            )
        except ImportError as error:
            failure = NetworkError(
                f'Kaggle\'s client cannot be imported ({error}): install it with `pip install "vocctl[kaggle]"`'
            )
        except Exception as error:  # the client raises requests', urllib3's, its own and plain exceptions
            failure = self._to_vocctl_error(error, action)
        raise failure

    def _to_vocctl_error(self, error: Exception, action: str) -> VocctlError:
        import requests

        response = getattr(error, "response", None)
        if isinstance(error, requests.exceptions.HTTPError) and response is not None:
            return self._http_error(response.status_code, self._redact(_server_message(response)), action)
        if isinstance(error, requests.exceptions.InvalidHeader | UnicodeError) or type(error) is ValueError:
            return NetworkError(
                f"the credentials ({self.credentials}) hold a character that is invalid in a header: copy them again from "
                f"{TOKEN_URL}"
            )
        if isinstance(error, requests.exceptions.RequestException):
            return NetworkError(
                f"cannot reach Kaggle to {action} ({type(error).__name__}): check the network and run it again"
            )
        if isinstance(error, OSError):
            return RunError(f"cannot use {error.filename or 'the disk'} ({error.strerror}): fix that and run it again")
        return NetworkError(
            f"the Kaggle client cannot {action} ({type(error).__name__}): run it again, or use the website"
        )

    def _http_error(self, code: int, message: str, action: str) -> NetworkError:
        if code == 401:
            reason = f"Kaggle refused the credentials ({self.credentials}, HTTP 401): create a new token at {TOKEN_URL}"
        elif code == 403:
            reason = (
                f"Kaggle does not let you {action} (HTTP 403): join the competition and accept its rules at "
                f"https://www.kaggle.com/competitions/{self.slug}/rules, then run it again"
            )
        elif code == 404:
            reason = f"Kaggle has no competition {self.slug} (HTTP 404): `vocctl download --years` lists the known ones"
        elif code == 429:
            reason = "too many requests to Kaggle (HTTP 429): wait a few minutes and run it again"
        elif code >= 500:
            reason = f"Kaggle has a server error (HTTP {code}): run it again later"
        else:
            reason = (
                f"Kaggle does not let you {action} (HTTP {code}{': ' + message if message else ''}): fix that first"
            )
        return NetworkError(reason)

    def _redact(self, text: str) -> str:
        """A server's text as one short line without secrets."""
        line = " ".join(str(text).split())
        config = getattr(self._api, "config_values", {}) or {}
        secrets = [config.get("key"), config.get("token"), *map(os.environ.get, ("KAGGLE_KEY", "KAGGLE_API_TOKEN"))]
        for secret in filter(None, secrets):
            line = line.replace(secret, "***")
        return line[:MAX_SERVER_MESSAGE]


def _authenticated_api() -> Any:
    from kaggle.api.kaggle_api_extended import KaggleApi

    api = KaggleApi()
    api.authenticate()
    return api


def _server_message(response: Any) -> str:
    try:
        answer = response.json()
    except ValueError:
        return ""
    return str(answer.get("message", "")) if isinstance(answer, dict) else ""


@contextlib.contextmanager
def _no_output() -> Iterator[None]:
    """Discard what the client prints, and keep it from printing headers."""
    saved = {name: os.environ.pop(name) for name in VERBOSE_VARIABLES if name in os.environ}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        os.environ.update(saved)


@contextlib.contextmanager
def _timeouts() -> Iterator[None]:
    """Give every request without a timeout ours."""
    import requests

    send = requests.Session.send

    def send_with_timeout(
        session: requests.Session, request: requests.PreparedRequest, **kwargs: Any
    ) -> requests.Response:
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = TIMEOUT
        return send(session, request, **kwargs)

    requests.Session.send = send_with_timeout  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        requests.Session.send = send  # type: ignore[method-assign]


@contextlib.contextmanager
def _download_progress(path: Path, on_progress: OnProgress | None) -> Iterator[None]:
    """Report the growing file from a thread, because the client has no callback."""
    if on_progress is None:
        yield
        return
    finished = threading.Event()
    marker = path.with_name(path.name + ".kaggle-partial")  # the client's, with the full size

    def report() -> None:
        while not finished.wait(0.2):
            with contextlib.suppress(OSError, ValueError):
                total = json.loads(marker.read_text(encoding="utf-8")).get("size") if marker.is_file() else None
                on_progress(path.stat().st_size, total)

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
