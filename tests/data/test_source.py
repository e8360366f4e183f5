"""The reader that a folder needs."""

import pytest

from vocctl.data.competition import CompetitionData
from vocctl.data.source import open_dataset
from vocctl.data.voc import VocData
from vocctl.errors import DataError


def test_a_devkit_is_named_after_the_folder_that_was_given(devkit):
    root = devkit.parent.parent
    source = open_dataset(root)
    assert isinstance(source, VocData)
    assert (source.root, source.name) == (devkit, root.name)
    assert open_dataset(devkit).name == "VOC2009"


def test_the_competitions_table_decides(devkit):
    (devkit / "train").mkdir()
    (devkit / "train" / "train_set.csv").write_text("")
    assert isinstance(open_dataset(devkit), CompetitionData)


def test_the_name_of_the_folder_that_one_stands_in(devkit, monkeypatch):
    monkeypatch.chdir(devkit)
    assert open_dataset(type(devkit)(".")).name == "VOC2009"


def test_no_folder_and_a_file(tmp_path):
    with pytest.raises(DataError, match=r"none is no folder: `vocctl download voc2009 --out"):
        open_dataset(tmp_path / "none")
    (tmp_path / "file.tar").write_text("")
    with pytest.raises(DataError, match=r"file\.tar is no folder"):
        open_dataset(tmp_path / "file.tar")


def test_neither_layout(tmp_path):
    with pytest.raises(DataError, match="is no data set"):
        open_dataset(tmp_path)
