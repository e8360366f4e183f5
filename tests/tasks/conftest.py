"""Trained once for all tests: runs that are attacked, and a rehearsal of the competition with one run of each kind."""

import os
import shutil
from pathlib import Path

import pytest

from vocctl.cli.app import main
from vocctl.config import TrainClsConfig, TrainSegConfig, given
from vocctl.tasks.train_cls import run as train_cls
from vocctl.tasks.train_seg import run as train_seg

SMALL = {
    "size": 32, "size_from": 0, "precision": "fp32", "batch": 4, "epochs": 30, "lr": 0.003, "encoder_lr": 1.0, "ema": 0.5,
    "eval_every": 30,
    "augment": "light",
}  # fmt: skip


@pytest.fixture(scope="session")
def runs(tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A classifier and a segmenter of the tiny squares, and the squares."""
    root = tmp_path_factory.mktemp("attacked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOCCTL_CACHE", str(root / "cache"))
        train_cls(given(TrainClsConfig(), path=str(tiny_set), model="scratch", **SMALL), root / "cls")
        train_seg(given(TrainSegConfig(), path=str(tiny_set), encoder="scratch", **SMALL), root / "seg")
    return {"cls": root / "cls", "seg": root / "seg", "data": tiny_set}


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
