"""The real kaggle client against a local server: every answer that Kaggle may give, and no secret in our messages."""

import io
import os
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
import requests
from packaging.version import Version

from vocctl.competition.kaggle import TIMEOUT, Kaggle, SubmissionLimits, find_credentials
from vocctl.errors import DataError, NetworkError, VocctlError

TOKEN = "KGAT_canary_7f3a91"
needs_limits = pytest.mark.skipif(
    Version(version("kaggle")) < Version("2.2.4"), reason="this client cannot ask for the limits"
)
CANARIES = (TOKEN, "canary_in_an_address", "canary-key")


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "submission.csv"
    path.write_text("Id,Predicted\n0_classification,1 1\n")
    return path


def error_chain_text(error: BaseException) -> str:
    """Everything that an error and its causes hold."""
    texts = []
    cause: BaseException | None = error
    while cause is not None:
        texts.append(repr(cause) + repr(vars(cause)))
        cause = cause.__cause__ or cause.__context__
    return " ".join(texts)


def check_failure(function, *parts: str) -> None:
    """The call fails with one line that contains the parts, and no secret."""
    with pytest.raises(NetworkError) as caught:
        function()
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not any(canary in error_chain_text(caught.value) for canary in CANARIES)


@needs_limits
def test_a_submission_is_scored_after_two_polls(kaggle, csv):
    kaggle.polls = [{"status": "PENDING"}, {"status": "PENDING"}, {"status": "COMPLETE", "publicScore": "0.61234"}]
    client = Kaggle("test-competition")
    assert client.limits() == SubmissionLimits(today=1, total=9, remaining_today=4)
    ref = client.upload(csv, "by a test")
    progress = []
    status = client.wait_for_score(ref, 60, lambda done, total: progress.append((done, total)))
    assert (status.status, status.public_score) == ("complete", "0.61234")
    assert len(progress) == 3
    assert kaggle.uploaded == csv.read_bytes()
    assert kaggle.submitted["submissionDescription"] == "by a test"
    assert kaggle.submitted["blobFileTokens"] == "blob"


def test_an_old_client_submits_without_limits(kaggle, csv, monkeypatch):
    client = Kaggle("test-competition")
    monkeypatch.delattr(type(client._api), "competition_get_submission_limits", raising=False)
    assert client.limits() is None
    assert client.upload(csv, "") == 4711


def test_a_missing_client_is_an_error_with_the_command_that_installs_it(kaggle, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "kaggle"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "kaggle", None)  # as if it were not installed
    check_failure(lambda: Kaggle("test-competition"), 'pip install "vocctl[kaggle]"')


def test_a_refused_submission_has_a_reason(kaggle, csv):
    kaggle.polls = [{"status": "ERROR", "errorDescription": "Submission must have\n1500 rows"}]
    client = Kaggle("test-competition")
    status = client.wait_for_score(client.upload(csv, ""), 5)
    assert (status.status, status.reason) == ("error", "Submission must have 1500 rows")


def test_a_submission_without_a_score_after_the_wait_is_pending(kaggle, csv):
    kaggle.polls = [{"status": "PENDING"}]
    client = Kaggle("test-competition")
    assert client.wait_for_score(client.upload(csv, ""), 0.05).status == "pending"
    assert 1 <= kaggle.calls.count("ListSubmissions") <= 6  # one poll every 0.01 s


def test_every_request_has_a_timeout(kaggle, monkeypatch):
    timeouts = []
    send = requests.adapters.HTTPAdapter.send

    def recorded_send(adapter, request, **kwargs):
        timeouts.append(kwargs["timeout"])
        return send(adapter, request, **kwargs)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", recorded_send)
    Kaggle("test-competition").limits()
    assert set(timeouts) == {TIMEOUT}


def test_a_failed_poll_is_repeated(kaggle, csv):
    kaggle.failures["ListSubmissions"] = (503, {"code": 503, "message": "busy"})
    client = Kaggle("test-competition")
    progress = []

    def repair(done, total):
        progress.append(done)
        kaggle.failures.clear()

    assert client.wait_for_score(client.upload(csv, ""), 60, repair).status == "complete"
    assert len(progress) == 2


@pytest.mark.parametrize(
    ("status", "parts"),
    [
        (401, ("refused the credentials", "KAGGLE_API_TOKEN", "new token")),
        (403, ("accept its rules", "https://www.kaggle.com/competitions/test-competition/rules")),
        (404, ("has no competition test-competition", "vocctl download --years")),
        (429, ("too many requests", "wait")),
        (500, ("HTTP 500", "later")),
        (503, ("HTTP 503", "later")),
        (400, ("HTTP 400", "Deadline has passed")),
    ],
)
@pytest.mark.parametrize("method", [pytest.param("GetSubmissionLimits", marks=needs_limits), "StartSubmissionUpload"])
def test_every_http_error_is_one_line(kaggle, csv, status, parts, method):
    client = Kaggle("test-competition")
    kaggle.failures[method] = (status, {"code": status, "message": f"Deadline has passed, {TOKEN}"})
    check_failure(client.limits if method == "GetSubmissionLimits" else lambda: client.upload(csv, ""), *parts)


def test_unreachable_network_is_an_error(kaggle, monkeypatch):
    client = Kaggle("test-competition")
    import kagglesdk.kaggle_env as environment

    monkeypatch.setitem(environment._env_to_endpoint, environment.KaggleEnv.LOCAL, "http://127.0.0.1:9")
    check_failure(lambda: client.status(1), "cannot reach Kaggle", "network")


@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_failed_upload_is_not_submitted(kaggle, csv, status):
    kaggle.put_status = status
    client = Kaggle("test-competition")
    check_failure(lambda: client.upload(csv, ""), "failed on Kaggle's side", str(csv), "nothing was submitted")
    assert "CreateSubmission" not in kaggle.calls


def test_an_expired_token_is_an_error(kaggle, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_old_canary-key")
    check_failure(lambda: Kaggle("test-competition"), "does not accept the credentials", "KAGGLE_API_TOKEN")


def test_a_token_with_a_line_break_is_an_error(kaggle, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", f"{TOKEN}\nmore")
    check_failure(lambda: Kaggle("test-competition"), "credentials")


def test_missing_credentials_are_reported_without_importing_the_client(kaggle, monkeypatch, tmp_path):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    check_failure(
        lambda: Kaggle("test-competition"), "no Kaggle credentials found", "https://www.kaggle.com/settings/api"
    )
    assert not (tmp_path / "home" / ".config").exists()  # importing the client creates this folder
    assert kaggle.calls == []


def test_credentials_are_described_without_the_secret(kaggle, monkeypatch, tmp_path):
    home = tmp_path / "home"
    descriptions = [find_credentials()]
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    (home / ".kaggle").mkdir()
    for name in ("credentials.json", "kaggle.json"):
        (home / ".kaggle" / name).write_text("canary-key")
        descriptions.append(find_credentials())
    monkeypatch.setenv("KAGGLE_USERNAME", "student")
    monkeypatch.setenv("KAGGLE_KEY", "canary-key")
    descriptions.append(find_credentials())
    (home / ".kaggle" / "access_token").write_text("canary-key")
    descriptions.append(find_credentials())
    kinds = ("KAGGLE_API_TOKEN", "credentials.json", "kaggle.json", "KAGGLE_USERNAME", "access_token")
    for description, kind in zip(descriptions, kinds, strict=True):
        assert kind in description
        assert "canary" not in description


def test_an_api_key_is_accepted_in_place_of_a_token(kaggle, csv, monkeypatch):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    monkeypatch.setenv("KAGGLE_USERNAME", "student")
    monkeypatch.setenv("KAGGLE_KEY", "canary-key")
    client = Kaggle("test-competition")
    assert "KAGGLE_KEY" in client.credentials
    assert client.upload(csv, "") == 4711
    assert "IntrospectToken" not in kaggle.calls


def test_the_clients_output_is_suppressed(kaggle, csv, monkeypatch, capfd):
    monkeypatch.setenv("VERBOSE", "true")  # makes the client print the headers of every request
    client = Kaggle("test-competition")
    client.upload(csv, "")
    output = capfd.readouterr()
    assert (output.out, output.err) == ("", "")
    assert os.environ["VERBOSE"] == "true"


def test_verbose_is_ignored_from_the_first_import_on(kaggle):
    code = (
        "import kagglesdk.kaggle_env as e, logging\n"
        f"e._env_to_endpoint[e.KaggleEnv.LOCAL] = {kaggle.url!r}\n"
        "from vocctl.competition.kaggle import Kaggle\n"
        "Kaggle('test-competition').limits()\n"
    )
    env = os.environ | {"VERBOSE": "true"}
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert process.returncode == 0, process.stderr
    assert (process.stdout, process.stderr) == ("", "")


def zip_with(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, os.urandom(1_500_000))
    return buffer.getvalue()


def test_an_interrupted_download_is_resumed(kaggle, tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    # The client writes whole MiB: after 2,500,000 bytes it has 2 MiB, 2,097,152 bytes, on disk.
    kaggle.archive, kaggle.break_at = zip_with("train/a.npy", "test/b.npy"), 2_500_000
    path = Kaggle("test-competition").download(tmp_path)
    assert path.read_bytes() == kaggle.archive
    assert kaggle.ranges == [None, "bytes=2097152-"]


def test_a_download_of_a_killed_process_is_resumed(kaggle, tmp_path):
    kaggle.archive = zip_with("train/a.npy")
    path = tmp_path / "test-competition.zip"
    path.write_bytes(kaggle.archive[:1000])
    path.with_name(path.name + ".kaggle-partial").write_text(
        f'{{"validator": "\\"one\\"", "size": {len(kaggle.archive)}}}'
    )
    assert Kaggle("test-competition").download(tmp_path).read_bytes() == kaggle.archive
    assert kaggle.ranges[-1] == "bytes=1000-"


def test_a_download_before_the_rules_are_accepted_is_an_error(kaggle, tmp_path):
    kaggle.failures["DownloadDataFiles"] = (403, {"code": 403, "message": "no"})
    client = Kaggle("test-competition")
    check_failure(lambda: client.download(tmp_path), "accept its rules", "/rules")
    assert list(tmp_path.glob("*.zip")) == []


def test_our_errors_have_no_cause(kaggle):
    """The client's exceptions hold the request with its token, so a traceback of ours must not include them."""
    kaggle.failures["ListSubmissions"] = (401, {"code": 401, "message": "no"})
    with pytest.raises(VocctlError) as caught:
        Kaggle("test-competition").status(1)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert not isinstance(caught.value, DataError)
