"""Where the cache is stored. Its content is tested in test_cache_build.py."""

from pathlib import Path

from vocctl.data.cache import default_cache_dir


def test_default_cache_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("VOCCTL_CACHE", "/own")
    assert default_cache_dir() == Path("/own")
    monkeypatch.delenv("VOCCTL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "vocctl"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_dir() == Path.home() / ".cache" / "vocctl"
