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
class Run:
    """A run folder with its training and validation images."""

    path: Path
    train: str
    val: str
    data: Path = Path("data")

    def split_ids(self, split: str) -> list[str]:
        return list(getattr(self, split))


class Split:
    def __init__(self, ids) -> None:
        self.images = self
        self.ids = tuple(ids)

    def take(self, indices: np.ndarray) -> "Split":
        return Split(self.ids[index] for index in indices)


class Source:
    def __init__(self, root: Path) -> None:
        self.root = root


@pytest.fixture(autouse=True)
def _fake_splits(monkeypatch):
    monkeypatch.setattr(ensemble, "run_config", lambda run: TrainSegConfig())
    monkeypatch.setattr(ensemble, "eval_split", lambda run, *args: (Source(run.data), "val", Split(run.val)))


def test_common_images_have_the_first_runs_order():
    _, splits = common_validation_splits([Run(Path("a"), "xy", "dcba"), Run(Path("b"), "xa", "abcz")])
    # a is a training image of the second run, d and z are in one validation set only
    assert [split.ids for split in splits] == [("c", "b"), ("c", "b")]


def test_runs_without_common_images():
    with pytest.raises(DataError, match="a, b have no common validation images"):
        common_validation_splits([Run(Path("a"), "xy", "ab"), Run(Path("b"), "ab", "abc")])


def test_runs_of_several_data_sets():
    with pytest.raises(DataError, match=r"several data sets \(data, other\)"):
        common_validation_splits([Run(Path("a"), "x", "a"), Run(Path("b"), "x", "a", data=Path("other"))])


def test_an_adversary_is_not_part_of_a_submission(tmp_path):
    run = create_run(tmp_path / "adv", "train-adv", TrainAdvConfig())
    with pytest.raises(DataError, match="expected a classifier or a segmenter"):
        run_config(run)
