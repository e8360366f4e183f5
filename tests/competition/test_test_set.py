"""The test images through either layout, and their truth by what they show."""

from pathlib import Path

import numpy as np
import pytest

from vocctl.competition import test_set
from vocctl.competition.editions import ALIAS, slug_of
from vocctl.competition.mock_competition import build_competition
from vocctl.competition.test_set import (
    expected_names,
    expected_rows,
    find_data,
    ground_truths,
    ground_truths_from,
    open_test_set,
    overlap,
)
from vocctl.data.source import open_dataset
from vocctl.errors import ConfigError, DataError


@pytest.fixture
def comp(noisy_tree: Path, tmp_path: Path) -> Path:
    build_competition(tmp_path / "comp", noisy_tree)
    return tmp_path / "comp"


def test_both_layouts_have_the_same_rows(comp, noisy_tree):
    first, second = open_test_set(comp), open_test_set(noisy_tree)
    assert first.numbers == second.numbers == tuple("012345")
    assert expected_names(first)[:2] == ["0_classification", "0_segmentation"]
    assert expected_rows(first) == expected_rows(second)
    assert (expected_rows(first)[0].height, expected_rows(first)[0].width) == (40, 50)


def test_one_truth_by_three_ways(comp, noisy_tree):
    found = [
        ground_truths(open_test_set(comp)),
        ground_truths(open_test_set(noisy_tree)),
        ground_truths_from(open_test_set(comp), noisy_tree),
    ]
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            assert one.number == other.number
            assert (one.classes == other.classes).all()
            assert (one.mask == other.mask).all()
            assert set(np.unique(one.mask)) <= {0, 1, 2}


def test_a_tree_of_other_images_is_no_truth(comp, tiny):
    with pytest.raises(DataError, match="lacks 6 of the 6 test images"):
        ground_truths_from(open_test_set(comp), tiny)


def test_images_are_found_under_other_names(comp, noisy_tree):
    images = open_test_set(comp)
    ids = open_dataset(noisy_tree).ids("train")
    assert overlap(images, noisy_tree, ids) == []
    seen = open_dataset(noisy_tree).ids("val")[2:4]
    assert overlap(images, noisy_tree, [*ids, *seen]) == seen
    assert overlap(images, comp, ["train_0", "test_1"]) == ["test_1"]


def test_where_the_data_are(tmp_path, monkeypatch, comp):
    monkeypatch.chdir(tmp_path)
    assert find_data(Path("named"), "h02a5a") == Path("named")
    with pytest.raises(DataError, match="vocctl download h02a5a"):
        find_data(None, "h02a5a")
    with pytest.raises(DataError, match="vocctl download some-slug"):
        find_data(None, "https://www.kaggle.com/competitions/some-slug/data")
    (tmp_path / "data" / "some-slug").mkdir(parents=True)
    assert find_data(None, "https://www.kaggle.com/competitions/some-slug/data") == Path("data/some-slug")
    newest = slug_of(ALIAS)
    (tmp_path / "data" / newest).mkdir()
    assert find_data(None, "h02a5a") == Path("data") / newest  # fetched by its other name
    (tmp_path / "data" / "h02a5a").mkdir()
    assert find_data(None, "h02a5a") == Path("data/h02a5a")
    assert find_data(None, newest) == Path("data") / newest
    monkeypatch.setattr(test_set, "KAGGLE_INPUT", tmp_path)  # comp lies in it
    assert find_data(None, "h02a5a") == comp
    (tmp_path / "other" / "train").mkdir(parents=True)
    (tmp_path / "other" / "train" / "train_set.csv").touch()
    with pytest.raises(ConfigError, match="several competitions"):
        find_data(None, "h02a5a")


def test_a_sample_file_of_other_images(comp):
    (comp / "sample_submission.csv").write_text("Id,Predicted\n7_classification,\n")
    with pytest.raises(DataError, match="other rows than"):
        expected_names(open_test_set(comp))
