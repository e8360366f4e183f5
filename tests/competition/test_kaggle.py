"""The real kaggle client against a local server: every answer that Kaggle may give, and no secret in any of ours."""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from vocctl.competition.kaggle import Kaggle, Limits, credentials
from vocctl.errors import DataError, NetworkError, VocctlError

TOKEN = "KGAT_canary_7f3a91"
CANARIES = (TOKEN, "canary_in_an_address", "canary-key")


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text("Id,Predicted\n0_classification,1 1\n")
    return path


def told(error: BaseException) -> str:
    """All that an error and those behind it say."""
    words = []
    one: BaseException | None = error
    while one is not None:
        words.append(repr(one) + repr(vars(one)))
        one = one.__cause__ or one.__context__
    return " ".join(words)


def fails(call, *says: str) -> None:
    with pytest.raises(NetworkError) as caught:
        call()
    for text in says:
        assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not any(canary in told(caught.value) for canary in CANARIES)


def test_a_submission_is_scored_after_two_polls(kaggle, csv):
    kaggle.polls = [{"status": "PENDING"}, {"status": "PENDING"}, {"status": "COMPLETE", "publicScore": "0.61234"}]
    client = Kaggle("test-competition")
    assert client.limits() == Limits(today=1, total=9, left=4)
    ref = client.upload(csv, "by a test")
    waited = []
    outcome = client.wait(ref, 5, lambda done, total: waited.append((done, total)))
    assert (outcome.status, outcome.public_score) == ("complete", "0.61234")
    assert len(waited) == 3
    assert kaggle.uploaded == csv.read_bytes()
    assert kaggle.submitted["submissionDescription"] == "by a test"
    assert kaggle.submitted["blobFileTokens"] == "blob"


def test_a_submission_that_ends_in_error_tells_the_reason(kaggle, csv):
    kaggle.polls = [{"status": "ERROR", "errorDescription": "Submission must have\n1500 rows"}]
    client = Kaggle("test-competition")
    outcome = client.wait(client.upload(csv, ""), 5)
    assert (outcome.status, outcome.reason) == ("error", "Submission must have 1500 rows")


def test_a_wait_that_runs_out_leaves_it_pending(kaggle, csv):
    kaggle.polls = [{"status": "PENDING"}]
    client = Kaggle("test-competition")
    assert client.wait(client.upload(csv, ""), 0.05).status == "pending"


def test_a_failing_look_is_made_again(kaggle, csv):
    kaggle.fails["ListSubmissions"] = (503, {"code": 503, "message": "busy"})
    client = Kaggle("test-competition")
    seen = []

    def mend(done, total):
        seen.append(done)
        kaggle.fails.clear()

    assert client.wait(client.upload(csv, ""), 5, mend).status == "complete"
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, ("refuses the credentials", "KAGGLE_API_TOKEN", "new token")),
        (403, ("accept the rules", "https://www.kaggle.com/competitions/test-competition/rules")),
        (404, ("no competition test-competition", "vocctl download --years")),
        (429, ("too often", "wait")),
        (500, ("HTTP 500", "later")),
        (503, ("HTTP 503", "later")),
        (400, ("HTTP 400", "Deadline has passed")),
    ],
)
@pytest.mark.parametrize("method", ["GetSubmissionLimits", "StartSubmissionUpload"])
def test_every_refusal_is_one_line(kaggle, csv, status, says, method):
    client = Kaggle("test-competition")
    kaggle.fails[method] = (status, {"code": status, "message": f"Deadline has passed, {TOKEN}"})
    fails(client.limits if method == "GetSubmissionLimits" else lambda: client.upload(csv, ""), *says)


def test_no_network(kaggle, monkeypatch):
    client = Kaggle("test-competition")
    import kagglesdk.kaggle_env as environment

    monkeypatch.setitem(environment._env_to_endpoint, environment.KaggleEnv.LOCAL, "http://127.0.0.1:9")
    fails(client.limits, "can't be reached", "network")


@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_broken_upload_is_no_submission(kaggle, csv, status):
    kaggle.put_status = status
    client = Kaggle("test-competition")
    fails(lambda: client.upload(csv, ""), "broke off", str(csv), "nothing was submitted")
    assert "CreateSubmission" not in kaggle.calls


def test_a_token_that_is_no_longer_good(kaggle, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "KGAT_old_canary-key")
    fails(lambda: Kaggle("test-competition"), "does not take the credentials", "KAGGLE_API_TOKEN")


def test_a_token_that_no_header_may_hold(kaggle, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", f"{TOKEN}\nmore")
    fails(lambda: Kaggle("test-competition"), "credentials")


def test_no_credentials_at_all_are_named_without_the_client(kaggle, monkeypatch, tmp_path):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    fails(lambda: Kaggle("test-competition"), "no Kaggle credentials", "https://www.kaggle.com/settings/api")
    assert not (tmp_path / "home" / ".config").exists()  # the client's import would have made a folder
    assert kaggle.calls == []


def test_which_kind_was_found_and_never_what_it_holds(kaggle, monkeypatch, tmp_path):
    home = tmp_path / "home"
    found = [credentials()]
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    (home / ".kaggle").mkdir()
    for name in ("credentials.json", "kaggle.json"):
        (home / ".kaggle" / name).write_text("canary-key")
        found.append(credentials())
    monkeypatch.setenv("KAGGLE_USERNAME", "student")
    monkeypatch.setenv("KAGGLE_KEY", "canary-key")
    found.append(credentials())
    (home / ".kaggle" / "access_token").write_text("canary-key")
    found.append(credentials())
    kinds = ("KAGGLE_API_TOKEN", "credentials.json", "kaggle.json", "KAGGLE_USERNAME", "access_token")
    for words, kind in zip(found, kinds, strict=True):
        assert kind in words
        assert "canary" not in words.replace("canary_7f3a91", "canary")


def test_an_api_key_works_too(kaggle, csv, monkeypatch):
    monkeypatch.delenv("KAGGLE_API_TOKEN")
    monkeypatch.setenv("KAGGLE_USERNAME", "student")
    monkeypatch.setenv("KAGGLE_KEY", "canary-key")
    client = Kaggle("test-competition")
    assert "KAGGLE_KEY" in client.credentials
    assert client.upload(csv, "") == 4711
    assert "IntrospectToken" not in kaggle.calls


def test_nothing_that_the_client_prints_is_seen(kaggle, csv, monkeypatch, capfd):
    monkeypatch.setenv("VERBOSE", "true")  # the client prints every header then
    client = Kaggle("test-competition")
    client.upload(csv, "")
    seen = capfd.readouterr()
    assert seen.out == ""
    assert seen.err == ""
    assert os.environ["VERBOSE"] == "true"


def test_verbose_is_hidden_from_the_first_import_too(kaggle):
    code = (
        "import kagglesdk.kaggle_env as e, logging\n"
        f"e._env_to_endpoint[e.KaggleEnv.LOCAL] = {kaggle.url!r}\n"
        "from vocctl.competition.kaggle import Kaggle\n"
        "Kaggle('test-competition').limits()\n"
    )
    settings = os.environ | {"VERBOSE": "true"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=settings)
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")


def zipped(*names: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name in names:
            archive.writestr(name, os.urandom(1_500_000))
    return held.getvalue()


def test_a_download_that_breaks_is_gone_on_with(kaggle, tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    kaggle.archive, kaggle.break_at = zipped("train/a.npy", "test/b.npy"), 2_500_000  # the client keeps whole MiB
    path = Kaggle("test-competition").download(tmp_path)
    assert path.read_bytes() == kaggle.archive
    assert kaggle.ranges == [None, "bytes=2097152-"]


def test_a_download_that_died_with_the_process_is_gone_on_with(kaggle, tmp_path):
    kaggle.archive = zipped("train/a.npy")
    path = tmp_path / "test-competition.zip"
    path.write_bytes(kaggle.archive[:1000])
    path.with_name(path.name + ".kaggle-partial").write_text(
        f'{{"validator": "\\"one\\"", "size": {len(kaggle.archive)}}}'
    )
    assert Kaggle("test-competition").download(tmp_path).read_bytes() == kaggle.archive
    assert kaggle.ranges[-1] == "bytes=1000-"


def test_a_download_without_the_rules_accepted(kaggle, tmp_path):
    kaggle.fails["DownloadDataFiles"] = (403, {"code": 403, "message": "no"})
    client = Kaggle("test-competition")
    fails(lambda: client.download(tmp_path), "accept the rules", "/rules")
    assert list(tmp_path.glob("*.zip")) == []


def test_our_errors_carry_no_cause(kaggle):
    kaggle.fails["GetSubmissionLimits"] = (401, {"code": 401, "message": "no"})
    with pytest.raises(VocctlError) as caught:
        Kaggle("test-competition").limits()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert not isinstance(caught.value, DataError)
