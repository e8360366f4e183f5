"""Scores of classes and their intervals agree with what eval wrote; differences are paired."""

from dataclasses import replace

import numpy as np
import pytest

from vocctl.metrics.average_precision import class_aps
from vocctl.reporting.class_scores import class_scores, class_scores_mean, difference, support
from vocctl.runs.evaluations import read_run


def test_a_segmenters_scores(trained_once) -> None:
    evaluation = read_run(str(trained_once.seg)).evaluation
    scores = class_scores(evaluation)
    matrix = evaluation.confusion
    hits = matrix[1, 1]
    assert scores.values["aeroplane"] == pytest.approx(hits / (matrix[1].sum() + matrix[:, 1].sum() - hits))
    assert scores.mean == evaluation.scores["scores"]["mean_iou"]
    low, high = scores.intervals["background"]
    assert low <= scores.values["background"] <= high
    assert "sofa" not in scores.intervals  # neither truth nor prediction, or never right: no spread to show
    assert sum(evaluation.image_confusions.values()).tolist() == matrix.tolist()


def test_a_classifiers_scores(trained_once) -> None:
    evaluation = read_run(str(trained_once.cls)).evaluation
    scores = class_scores(evaluation)
    predictions = evaluation.predictions
    assert scores.values["bicycle"] == pytest.approx(class_aps(predictions.probs, predictions.targets)["sklearn"][1])
    assert np.isnan(scores.values["cat"])
    low, high = scores.intervals["bicycle"]
    assert low <= scores.values["bicycle"] <= high


def test_an_undefined_mean_is_nan(trained_once) -> None:
    evaluation = read_run(str(trained_once.cls)).evaluation
    undefined = evaluation.scores["scores"] | {"map_sklearn": None}
    evaluation = replace(evaluation, scores=evaluation.scores | {"scores": undefined})
    assert np.isnan(class_scores_mean(evaluation))
    assert np.isnan(class_scores(evaluation).mean)


def test_support(trained_once) -> None:
    assert support(read_run(str(trained_once.cls)).evaluation)["bicycle"] == "4 images"
    held = support(read_run(str(trained_once.seg)).evaluation)
    assert held["aeroplane"].startswith("4 images, ")
    assert held["sofa"] == "0 images, 0.0 % of pixels"


@pytest.mark.parametrize("task", ["seg", "cls"])
def test_a_run_does_not_differ_from_itself(trained_once, task: str) -> None:
    evaluation = read_run(str(getattr(trained_once, task))).evaluation
    assert difference([evaluation], [evaluation]) == (0, 0, 0)
