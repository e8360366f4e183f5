"""The score of a csv against a solution, and its interval."""

import pytest

from vocctl.competition.ground_truth import ground_truths
from vocctl.competition.mock_competition import build_competition
from vocctl.competition.offline_score import score_file
from vocctl.competition.rle import encode_classes
from vocctl.competition.table import write_table
from vocctl.competition.test_set import open_test_set
from vocctl.errors import DataError


def new_counter(verb: str, unit: str):
    return lambda done, total: None


def test_right_labels_and_empty_masks_score_a_half(noisy_devkit, tmp_path):
    build_competition(tmp_path / "comp", noisy_devkit)
    truths = ground_truths(open_test_set(tmp_path / "comp"))
    rows = [(f"{truth.csv_id}_classification", str(encode_classes(truth.classes))) for truth in truths]
    write_table(tmp_path / "labels.csv", rows)
    for truth, data in ((tmp_path / "comp", None), (noisy_devkit, None), (noisy_devkit, tmp_path / "comp")):
        result = score_file(tmp_path / "labels.csv", truth=truth, data=data, new_counter=new_counter)
        assert (result.score.classification, result.score.segmentation, result.score.joint) == (1, 0, 0.5)
        assert result.interval == pytest.approx((0.5, 0.5))  # every image scores 1/2
        assert result.score.missing_rows == 6


def test_a_csv_without_rows(noisy_devkit, tmp_path):
    write_table(tmp_path / "empty.csv", [])
    with pytest.raises(DataError, match="has no rows"):
        score_file(tmp_path / "empty.csv", truth=noisy_devkit, data=None, new_counter=new_counter)
