"""The cache of users without a home folder, or with one that they cannot write."""

import logging
import os
import tempfile
from pathlib import Path

import pytest

from vocctl import folders
from vocctl.data.cache import default_cache_dir

pwd = pytest.importorskip("pwd", reason="Windows has no user ids")


def no_user(uid: int) -> None:
    raise KeyError(f"getpwuid(): uid not found: {uid}")


@pytest.fixture(autouse=True)
def _unknown_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `docker run --user 12345` without HOME. Temporary files are in tmp_path."""
    for name in ("HOME", "XDG_CACHE_HOME", "VOCCTL_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_user)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folders.temporary_cache_dir.cache_clear()


def test_without_a_home_folder_the_cache_is_temporary(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert folders.home_folder() is None
    with caplog.at_level(logging.WARNING):
        assert default_cache_dir() == tmp_path / f"vocctl-{os.getuid()}"
        default_cache_dir()
    assert len(caplog.records) == 1
    assert "VOCCTL_CACHE names another folder" in caplog.text
    assert default_cache_dir().stat().st_mode & 0o777 == 0o700


def test_a_home_folder_that_cannot_be_written_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path / "file"))  # .cache cannot be created in it, not even by root
    assert default_cache_dir() == tmp_path / f"vocctl-{os.getuid()}"


def test_a_temporary_folder_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert default_cache_dir().name.startswith("vocctl-")
    assert default_cache_dir() != tmp_path / "vocctl-12345"


def test_vocctl_cache_needs_no_home_folder(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("VOCCTL_CACHE", "/own")
    assert default_cache_dir() == Path("/own")
    assert caplog.records == []


def test_kaggle_credentials_of_the_environment_need_no_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    from vocctl.competition.kaggle import find_credentials

    for name in [name for name in os.environ if name.startswith("KAGGLE_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert find_credentials() is None
    monkeypatch.setenv("KAGGLE_USERNAME", "student")
    monkeypatch.setenv("KAGGLE_KEY", "secret")
    assert find_credentials() == "an API key, KAGGLE_USERNAME and KAGGLE_KEY"


def test_hub_weights_need_no_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    from vocctl.models.weights import load_pretrained

    used = {}
    model = timm.create_model("resnet10t", pretrained=False)
    monkeypatch.setattr(timm, "create_model", lambda name, **arguments: used.update(arguments) or model)
    load_pretrained(model, "resnet10t", "auto")
    assert used["cache_dir"] == tmp_path / f"vocctl-{os.getuid()}" / "hub"
