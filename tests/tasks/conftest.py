"""A rehearsal of the competition: tiny photos, and one trained run of each kind; trained once for all tests."""

import os
import shutil
from pathlib import Path

import pytest

from vocctl.cli.app import main

CLS = ["--model", "scratch", "--size", "32", "--size-from", "0", "--batch", "8", "--epochs", "2", "--quiet"]
SEG = ["--encoder", "scratch", "--widths", "8,8,8", "--size", "32", "--size-from", "0", "--batch", "8", "--epochs", "2",
       "--quiet"]  # fmt: skip


@pytest.fixture(scope="session")
def _rehearsed(noisy_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = tmp_path_factory.mktemp("world")
    before, cache = Path.cwd(), os.environ.get("VOCCTL_CACHE")
    os.environ["VOCCTL_CACHE"] = str(world / "cache")
    os.chdir(world)
    try:
        shutil.copytree(noisy_tree, world / "data" / "tree")
        assert main(["download", "h02a5a", "--from", "data/tree", "--quiet"]) == 0
        assert main(["train-cls", "--data", "data/h02a5a", "--name", "one", *CLS]) == 0
        assert main(["train-seg", "--data", "data/h02a5a", "--name", "one", *SEG]) == 0
    finally:
        os.chdir(before)
        os.environ.pop("VOCCTL_CACHE") if cache is None else os.environ.update(VOCCTL_CACHE=cache)
    return world


@pytest.fixture
def world(_rehearsed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of data/tree, data/h02a5a, runs/cls/one and runs/seg/one, as the working folder."""
    shutil.copytree(_rehearsed, tmp_path / "world")
    monkeypatch.chdir(tmp_path / "world")
    return tmp_path / "world"
