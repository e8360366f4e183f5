"""The ground truth of the test images, obtained in three ways: from the solution folder, from the devkit that is the test
set, and from a devkit whose images are matched with the test images.
"""

from pathlib import Path

import numpy as np
import pytest

from vocctl.competition.ground_truth import ground_truths, ground_truths_from_devkit
from vocctl.competition.mock_competition import build_competition
from vocctl.competition.test_set import open_test_set
from vocctl.errors import DataError


@pytest.fixture
def competition_folder(noisy_devkit: Path, tmp_path: Path) -> Path:
    build_competition(tmp_path / "comp", noisy_devkit)
    return tmp_path / "comp"


def test_all_three_sources_agree(competition_folder, noisy_devkit):
    solution, *others = (
        ground_truths(open_test_set(competition_folder)),
        ground_truths(open_test_set(noisy_devkit)),
        ground_truths_from_devkit(open_test_set(competition_folder), noisy_devkit),
    )
    for truths in others:
        for expected, truth in zip(solution, truths, strict=True):
            assert truth.csv_id == expected.csv_id
            assert (truth.classes == expected.classes).all()
            assert (truth.mask == expected.mask).all()
            assert set(np.unique(truth.mask)) <= {0, 1, 2}


def test_a_devkit_with_other_images_is_refused(competition_folder, tiny):
    with pytest.raises(DataError, match=r"6 of the 6 test images are not in its Segmentation/val \(Id 0"):
        ground_truths_from_devkit(open_test_set(competition_folder), tiny)


def test_a_competition_folder_is_not_a_devkit(competition_folder):
    with pytest.raises(DataError, match="--truth takes a VOC devkit"):
        ground_truths_from_devkit(open_test_set(competition_folder), competition_folder)


def test_a_test_image_without_labels_is_an_error(competition_folder):
    table = competition_folder / "solution" / "test_set.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(DataError, match="has no test_5"):
        ground_truths(open_test_set(competition_folder))
