"""Estimate a submission's score on the validation images, with the same decisions as on the test images.

The validation images are those that every run validated on and none was trained on. The thresholds of the classes and of
the rules in competition/fusion.py are cross-fitted, so that no image is scored with a threshold that was fitted on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vocctl.competition.classification import LabelPredictions, label_dice, predict_labels, threshold_kind
from vocctl.competition.ensemble import EnsembleSpec, NewCounter, common_validation_splits, select_images
from vocctl.competition.fusion import (
    AREA_THRESHOLDS,
    SUPPRESS_THRESHOLDS,
    RuleEvaluation,
    add_mask_labels,
    evaluate_rule,
)
from vocctl.competition.prediction import DecisionParams
from vocctl.competition.segmentation import segmentation_dice, suppression_scores
from vocctl.data.splits import LabeledSplit
from vocctl.inference.thresholds import fit_thresholds
from vocctl.metrics.bootstrap import interval, resampled

RESAMPLES = 1000


@dataclass(frozen=True)
class ExpectedScore:
    """Mean Dice on the validation images, in [0, 1]."""

    joint: float
    classification: float
    segmentation: float
    interval: tuple[float, float]  # of joint: 95 %, from bootstrap resamples of the images
    cls_images: int
    seg_images: int
    rules: tuple[RuleEvaluation, ...]  # empty if classifiers and segmenters have no common validation images


def estimate_score(
    classifiers: EnsembleSpec, segmenters: EnsembleSpec, new_counter: NewCounter
) -> tuple[ExpectedScore, DecisionParams]:
    """Estimate the score, and fit the decisions that it assumes.

    If both ensembles have common validation images, only these are used, because the rules need both predictions.
    Raises DataError: runs of one subtask without common validation images, or whose data are not found.
    """
    cls_source, cls_splits = common_validation_splits(classifiers.runs)
    seg_source, seg_splits = common_validation_splits(segmenters.runs)
    seg_ids = set(seg_splits[0].images.ids)
    common_ids = [image_id for image_id in cls_splits[0].images.ids if image_id in seg_ids]
    if common_ids and cls_source.root.resolve() == seg_source.root.resolve():
        cls_splits = [select_images(split, common_ids) for split in cls_splits]
        seg_splits = [select_images(split, common_ids) for split in seg_splits]
        return _estimate_with_rules(classifiers, cls_splits, segmenters, seg_splits, new_counter)
    labels = predict_labels(classifiers, cls_splits, new_counter)
    cls_dice = label_dice(labels.predicted, labels.targets)
    seg_dice = segmentation_dice(segmenters, seg_splits, new_counter)
    joint_means = sum(_resampled_means(dice / 2, seed) for seed, dice in enumerate((cls_dice, seg_dice)))
    decisions = DecisionParams(_fit_thresholds(classifiers, labels), SUPPRESS_THRESHOLDS[0], AREA_THRESHOLDS[0])
    return _expected_score(cls_dice, seg_dice, np.asarray(joint_means), ()), decisions


def _estimate_with_rules(
    classifiers: EnsembleSpec,
    cls_splits: Sequence[LabeledSplit],
    segmenters: EnsembleSpec,
    seg_splits: Sequence[LabeledSplit],
    new_counter: NewCounter,
) -> tuple[ExpectedScore, DecisionParams]:
    """Return what estimate_score returns. All splits have the same images in the same order."""
    labels = predict_labels(classifiers, cls_splits, new_counter)
    masks = suppression_scores(segmenters, seg_splits, labels, new_counter)
    suppression, seg_dice = evaluate_rule("suppression", SUPPRESS_THRESHOLDS, masks.dice)
    dice_by_area = [
        label_dice(add_mask_labels(labels.predicted, masks.fractions, threshold), labels.targets)
        for threshold in AREA_THRESHOLDS
    ]
    mask_labels, cls_dice = evaluate_rule("mask labels", AREA_THRESHOLDS, np.stack(dice_by_area, axis=1))
    decisions = DecisionParams(
        thresholds=_fit_thresholds(classifiers, labels),
        suppress_threshold=suppression.threshold if suppression.used else SUPPRESS_THRESHOLDS[0],
        area_threshold=mask_labels.threshold if mask_labels.used else AREA_THRESHOLDS[0],
    )
    joint_means = _resampled_means((cls_dice + seg_dice) / 2, seed=0)
    return _expected_score(cls_dice, seg_dice, joint_means, (suppression, mask_labels)), decisions


def _fit_thresholds(classifiers: EnsembleSpec, labels: LabelPredictions) -> np.ndarray:
    return fit_thresholds(labels.probs, labels.targets, threshold_kind(classifiers))


def _expected_score(
    cls_dice: np.ndarray, seg_dice: np.ndarray, joint_means: np.ndarray, rules: tuple[RuleEvaluation, ...]
) -> ExpectedScore:
    """cls_dice, seg_dice: of each image. joint_means: (RESAMPLES,)."""
    return ExpectedScore(
        joint=float(cls_dice.mean() + seg_dice.mean()) / 2,
        classification=float(cls_dice.mean()),
        segmentation=float(seg_dice.mean()),
        interval=interval(joint_means),
        cls_images=len(cls_dice),
        seg_images=len(seg_dice),
        rules=rules,
    )


def _resampled_means(values: np.ndarray, seed: int) -> np.ndarray:
    """(RESAMPLES,): the mean over each bootstrap resample of the images."""
    images = len(values)
    return resampled(lambda counts: {"mean": float((values * counts).sum() / images)}, images, RESAMPLES, seed)["mean"]
