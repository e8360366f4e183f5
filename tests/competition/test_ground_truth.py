"""The ground truth of the test images, by three ways."""

from pathlib import Path

import numpy as np
import pytest

from vocctl.competition.ground_truth import ground_truths, ground_truths_from_devkit
from vocctl.competition.mock_competition import build_competition
from vocctl.competition.test_set import open_test_set
from vocctl.errors import DataError


@pytest.fixture
def comp(noisy_tree: Path, tmp_path: Path) -> Path:
    build_competition(tmp_path / "comp", noisy_tree)
    return tmp_path / "comp"


def test_solution_devkit_and_matched_devkit_agree(comp, noisy_tree):
    solution, *others = (
        ground_truths(open_test_set(comp)),
        ground_truths(open_test_set(noisy_tree)),
        ground_truths_from_devkit(open_test_set(comp), noisy_tree),
    )
    for truths in others:
        for expected, truth in zip(solution, truths, strict=True):
            assert truth.csv_id == expected.csv_id
            assert (truth.classes == expected.classes).all()
            assert (truth.mask == expected.mask).all()
            assert set(np.unique(truth.mask)) <= {0, 1, 2}


def test_a_devkit_with_other_images_is_refused(comp, tiny):
    with pytest.raises(DataError, match=r"6 of the 6 test images are not in its Segmentation/val \(Id 0"):
        ground_truths_from_devkit(open_test_set(comp), tiny)


def test_a_competition_folder_is_not_a_devkit(comp):
    with pytest.raises(DataError, match="--truth takes a VOC devkit"):
        ground_truths_from_devkit(open_test_set(comp), comp)


def test_a_test_image_without_labels(comp):
    table = comp / "solution" / "test_set.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(DataError, match="has no test_5"):
        ground_truths(open_test_set(comp))
