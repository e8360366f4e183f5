"""The validation images that the runs of an ensemble have in common."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from vocctl.competition import ensemble
from vocctl.competition.ensemble import common_validation_splits, run_config
from vocctl.config import TrainAdvConfig, TrainSegConfig
from vocctl.errors import DataError
from vocctl.runs.folder import create_run


@dataclass
class FakeRun:
    """Stands for a RunFolder. train, val: a one-letter id for each of its training and validation images."""

    path: Path
    train: str
    val: str
    data: Path = Path("data")

    def split_ids(self, split: str) -> list[str]:
        return list(getattr(self, split))


class FakeSplit:
    """Stands for a LabeledSplit and for the images of one: it has ids only."""

    def __init__(self, ids) -> None:
        self.images = self
        self.ids = tuple(ids)

    def take(self, indices: np.ndarray) -> "FakeSplit":
        return FakeSplit(self.ids[index] for index in indices)


class FakeSource:
    """Stands for a Source: it has a folder only."""

    def __init__(self, root: Path) -> None:
        self.root = root


@pytest.fixture(autouse=True)
def _fake_splits(monkeypatch):
    monkeypatch.setattr(ensemble, "run_config", lambda run: TrainSegConfig())
    monkeypatch.setattr(ensemble, "eval_split", lambda run, *args: (FakeSource(run.data), "val", FakeSplit(run.val)))


def test_common_validation_images_are_in_the_first_runs_order():
    _, splits = common_validation_splits([FakeRun(Path("a"), "xy", "dcba"), FakeRun(Path("b"), "xa", "abcz")])
    # a is a training image of the second run, d and z are in one validation set only
    assert [split.ids for split in splits] == [("c", "b"), ("c", "b")]


def test_runs_without_common_validation_images_are_an_error():
    with pytest.raises(DataError, match="a, b have no common validation images"):
        common_validation_splits([FakeRun(Path("a"), "xy", "ab"), FakeRun(Path("b"), "ab", "abc")])


def test_runs_of_several_data_sets_are_an_error():
    with pytest.raises(DataError, match=r"several data sets \(data, other\)"):
        common_validation_splits([FakeRun(Path("a"), "x", "a"), FakeRun(Path("b"), "x", "a", data=Path("other"))])


def test_a_generator_cannot_be_part_of_an_ensemble(tmp_path):
    run = create_run(tmp_path / "adv", "train-adv", TrainAdvConfig())
    with pytest.raises(DataError, match="expected a classifier or a segmenter"):
        run_config(run)
