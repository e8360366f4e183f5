"""Class scores and intervals agree with what eval has written; differences are paired."""

import numpy as np
import pytest

from vocctl.metrics.average_precision import class_aps
from vocctl.reporting.class_scores import class_intervals, format_frequencies, paired_difference
from vocctl.runs.records import read_run


def test_scores_of_a_segmenter(trained_once) -> None:
    evaluation = read_run(str(trained_once.seg)).evaluation
    scores = evaluation.class_scores
    matrix = evaluation.confusion
    hits = matrix[1, 1]
    assert scores["aeroplane"] == pytest.approx(hits / (matrix[1].sum() + matrix[:, 1].sum() - hits))
    assert evaluation.main_score == evaluation.scores["mean_iou"]
    low, high = class_intervals(evaluation)["background"]
    assert low <= scores["background"] <= high
    assert "sofa" not in class_intervals(evaluation)  # neither ground truth nor prediction
    assert evaluation.image_confusions.sum(0).tolist() == matrix.tolist()


def test_scores_of_a_classifier(trained_once) -> None:
    evaluation = read_run(str(trained_once.cls)).evaluation
    scores = evaluation.class_scores
    predictions = evaluation.predictions
    assert scores["bicycle"] == pytest.approx(class_aps(predictions.probs, predictions.targets)["sklearn"][1])
    assert np.isnan(scores["cat"])
    low, high = class_intervals(evaluation)["bicycle"]
    assert low <= scores["bicycle"] <= high


def test_format_frequencies(trained_once) -> None:
    assert format_frequencies(read_run(str(trained_once.cls)).evaluation)["bicycle"] == "4 images"
    frequencies = format_frequencies(read_run(str(trained_once.seg)).evaluation)
    assert frequencies["aeroplane"].startswith("4 images, ")
    assert frequencies["sofa"] == "0 images, 0.0 % of pixels"


@pytest.mark.parametrize("task", ["seg", "cls"])
def test_difference_of_a_run_from_itself_is_zero(trained_once, task: str) -> None:
    evaluation = read_run(str(getattr(trained_once, task))).evaluation
    assert paired_difference([evaluation], [evaluation]) == (0, 0, 0)
