"""The test images of either layout, where the data are found, and which of a run's images are test images."""

from pathlib import Path

import pytest

from vocctl.competition import test_set
from vocctl.competition.editions import ALIAS, resolve_slug
from vocctl.competition.mock_competition import build_competition
from vocctl.competition.test_set import expected_names, expected_rows, find_data, find_test_images, open_test_set
from vocctl.data.source import open_dataset
from vocctl.errors import ConfigError, DataError


@pytest.fixture
def comp(noisy_devkit: Path, tmp_path: Path) -> Path:
    build_competition(tmp_path / "comp", noisy_devkit)
    return tmp_path / "comp"


def test_both_layouts_have_the_same_rows(comp, noisy_devkit):
    folder, devkit = open_test_set(comp), open_test_set(noisy_devkit)
    assert folder.csv_ids == devkit.csv_ids == tuple("012345")
    assert expected_names(folder)[:2] == ["0_classification", "0_segmentation"]
    assert expected_rows(folder) == expected_rows(devkit)
    assert (expected_rows(folder)[0].height, expected_rows(folder)[0].width) == (40, 50)


def test_test_images_are_found_under_other_names(comp, noisy_devkit):
    images = open_test_set(comp)
    train_ids = open_dataset(noisy_devkit).ids("train")
    assert find_test_images(images, noisy_devkit, train_ids) == []
    test_ids = open_dataset(noisy_devkit).ids("val")[2:4]
    assert find_test_images(images, noisy_devkit, [*train_ids, *test_ids]) == test_ids
    assert find_test_images(images, comp, ["train_0", "test_1"]) == ["test_1"]


def test_find_data(tmp_path, monkeypatch, comp):
    monkeypatch.chdir(tmp_path)
    assert find_data(Path("given"), "h02a5a") == Path("given")
    with pytest.raises(DataError, match="vocctl download h02a5a"):
        find_data(None, "h02a5a")
    with pytest.raises(DataError, match="vocctl download some-slug"):
        find_data(None, "https://www.kaggle.com/competitions/some-slug/data")
    (tmp_path / "data" / "some-slug").mkdir(parents=True)
    assert find_data(None, "https://www.kaggle.com/competitions/some-slug/data") == Path("data/some-slug")
    newest = resolve_slug(ALIAS)
    (tmp_path / "data" / newest).mkdir()
    assert find_data(None, "h02a5a") == Path("data") / newest  # downloaded by its slug
    (tmp_path / "data" / "h02a5a").mkdir()
    assert find_data(None, "h02a5a") == Path("data/h02a5a")
    assert find_data(None, newest) == Path("data") / newest
    monkeypatch.setattr(test_set, "KAGGLE_INPUT", tmp_path)  # contains comp
    assert find_data(None, "h02a5a") == comp
    (tmp_path / "other" / "train").mkdir(parents=True)
    (tmp_path / "other" / "train" / "train_set.csv").touch()
    with pytest.raises(ConfigError, match="several competitions"):
        find_data(None, "h02a5a")


def test_a_sample_file_with_other_rows(comp):
    (comp / "sample_submission.csv").write_text("Id,Predicted\n7_classification,\n")
    with pytest.raises(DataError, match="has other rows than"):
        expected_names(open_test_set(comp))
