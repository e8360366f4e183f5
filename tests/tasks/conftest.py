"""Trained runs that several tests attack."""

from pathlib import Path

import pytest

from vocctl.config import TrainClsConfig, TrainSegConfig, given
from vocctl.tasks.train_cls import run as train_cls
from vocctl.tasks.train_seg import run as train_seg

SMALL = {
    "size": 32, "size_from": 0, "precision": "fp32", "batch": 4, "epochs": 30, "lr": 0.003, "encoder_lr": 1.0, "ema": 0.5,
    "eval_every": 30,
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
