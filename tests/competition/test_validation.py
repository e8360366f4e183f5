"""The expected score, its interval, and the decisions that the validation images lead to."""

import numpy as np
import pytest

from vocctl.competition import validation
from vocctl.competition.classification import LabelPredictions, label_dice
from vocctl.competition.ensemble import EnsembleSpec
from vocctl.competition.fusion import AREA_THRESHOLDS, SUPPRESS_THRESHOLDS
from vocctl.competition.segmentation import SuppressionScores
from vocctl.competition.validation import estimate_score
from vocctl.config import TrainClsConfig
from vocctl.labels import IGNORE

IMAGES = 100


class FakeRun:
    """Stands for a RunFolder of which only the settings are read."""

    def config(self, default: TrainClsConfig) -> TrainClsConfig:
        return default


class FakeSplit:
    """Stands for a LabeledSplit, and for its images, of which only the ids are read."""

    def __init__(self, ids: list[str]) -> None:
        self.images = self
        self.ids = tuple(ids)

    def take(self, indices: np.ndarray) -> "FakeSplit":
        return FakeSplit([self.ids[index] for index in indices])


class FakeSource:
    """Stands for a Source of which only the folder is read."""

    def __init__(self, root) -> None:
        self.root = root


def spec() -> EnsembleSpec:
    return EnsembleSpec(runs=(FakeRun(),), checkpoint="best", tta="none", device="cpu")  # type: ignore[arg-type]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Set the validation images and the predictions on them: fake(cls_ids, seg_ids, labels, seg_dice or scores)."""

    def set_up(cls_ids, seg_ids, labels, masks) -> None:
        splits = iter([(FakeSource(tmp_path), [FakeSplit(cls_ids)]), (FakeSource(tmp_path), [FakeSplit(seg_ids)])])
        monkeypatch.setattr(validation, "common_validation_splits", lambda runs: next(splits))
        monkeypatch.setattr(validation, "predict_labels", lambda spec, splits, counter: labels(splits[0].ids))
        monkeypatch.setattr(validation, "segmentation_dice", lambda spec, splits, counter: masks(splits[0].ids))
        monkeypatch.setattr(validation, "suppression_scores", lambda spec, splits, _, counter: masks(splits[0].ids))

    return set_up


def every_other(ids) -> LabelPredictions:
    """Class 0 is in every image and is predicted for every other one: a Dice of 1, 0, 1, 0, ..."""
    targets = np.zeros((len(ids), 20), np.uint8)
    targets[:, 0] = 1
    predicted = np.zeros((len(ids), 20), bool)
    predicted[::2, 0] = True
    predicted[1::2, 1] = True
    return LabelPredictions(predicted * 0.9, predicted, targets)


def test_images_of_both_subtasks_are_resampled_together(fake):
    """Each image's two Dice are 1 and 0 or 0 and 1: their mean is 1/2 in every resample."""
    ids = [str(number) for number in range(IMAGES)]
    columns = len(SUPPRESS_THRESHOLDS)
    alternating = np.repeat([[0.0], [1.0]] * (IMAGES // 2), columns, axis=1)
    # the ids that only one subtask validated on are left out
    fake([*ids, "cls only"], ["seg only", *ids], every_other,
         lambda ids: SuppressionScores(alternating[: len(ids)], np.zeros((len(ids), 20))))  # fmt: skip
    expected, decisions = estimate_score(spec(), spec(), None)
    assert (expected.cls_images, expected.seg_images) == (IMAGES, IMAGES)
    assert (expected.joint, *expected.interval) == pytest.approx((0.5, 0.5, 0.5))
    assert [(rule.rule, rule.used) for rule in expected.rules] == [("suppression", False), ("mask labels", False)]
    assert (decisions.suppress_threshold, decisions.area_threshold) == (SUPPRESS_THRESHOLDS[0], AREA_THRESHOLDS[0])
    assert decisions.thresholds.shape == (20,)


def test_different_images_are_resampled_independently(fake):
    cls_ids, seg_ids = ([f"{kind}{number}" for number in range(IMAGES)] for kind in ("cls", "seg"))
    fake(cls_ids, seg_ids, every_other, lambda ids: np.array([0.0, 0.5] * (IMAGES // 2)))
    expected, decisions = estimate_score(spec(), spec(), None)
    assert expected.rules == ()
    assert (decisions.suppress_threshold, decisions.area_threshold) == (SUPPRESS_THRESHOLDS[0], AREA_THRESHOLDS[0])
    # the means have standard deviations of .05 and .025, half of their sum .028: the 95 % interval is +- .055
    assert expected.joint == pytest.approx(0.375)
    assert expected.interval == pytest.approx((0.375 - 0.055, 0.375 + 0.055), abs=0.006)


@pytest.mark.parametrize("is_suppression_useful", [False, True])
@pytest.mark.parametrize("has_mask_labels", [False, True])
def test_rules_that_help_are_used_in_the_score_and_in_the_decisions(fake, is_suppression_useful, has_mask_labels):
    """Suppression at the third threshold adds .1 to each mask; class 0 covers 6 % of each mask."""
    ids = [str(number) for number in range(IMAGES)]
    dice = np.full((IMAGES, len(SUPPRESS_THRESHOLDS)), 0.5)
    dice[:, 2] += 0.1 * is_suppression_useful
    fractions = np.zeros((IMAGES, 20))
    fractions[:, 0] = 0.06 * has_mask_labels
    fake(ids, ids, every_other, lambda ids: SuppressionScores(dice, fractions))
    expected, decisions = estimate_score(spec(), spec(), None)
    assert [rule.used for rule in expected.rules] == [is_suppression_useful, has_mask_labels]
    assert decisions.suppress_threshold == (SUPPRESS_THRESHOLDS[2] if is_suppression_useful else SUPPRESS_THRESHOLDS[0])
    # .05 is the first of AREA_THRESHOLDS below 6 %
    assert decisions.area_threshold == (0.05 if has_mask_labels else AREA_THRESHOLDS[0])
    assert expected.segmentation == pytest.approx(0.6 if is_suppression_useful else 0.5)
    # every second image has the labels {0}, Dice 1; the others {1}, Dice 0, or with the mask's label {0, 1}, Dice 2/3
    assert expected.classification == pytest.approx((1 + 2 / 3) / 2 if has_mask_labels else 1 / 2)


def test_ignored_labels_are_not_scored():
    predicted = np.zeros((1, 20), bool)
    predicted[0, [0, 1]] = True
    targets = np.zeros((1, 20), np.uint8)
    targets[0, 0] = 1
    assert label_dice(predicted, targets) == pytest.approx([2 / 3])  # {0, 1} of {0}
    targets[0, 1] = IGNORE
    assert label_dice(predicted, targets) == pytest.approx([1])
