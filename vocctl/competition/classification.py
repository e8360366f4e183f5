"""The classification subtask on validation images: the label set of each image, and its Dice."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vocctl.competition.ensemble import EnsembleSpec, NewCounter, mean_class_probs
from vocctl.config import TrainClsConfig
from vocctl.data.splits import LabeledSplit
from vocctl.inference.thresholds import cross_fitted_predictions
from vocctl.labels import IGNORE
from vocctl.metrics.multilabel import sample_f1


@dataclass(frozen=True)
class LabelPredictions:
    """A classifier's predictions of N images."""

    probs: np.ndarray  # (N, 20) in [0, 1]
    predicted: np.ndarray  # (N, 20) bool
    targets: np.ndarray  # (N, 20): 1, 0 or IGNORE


def predict_labels(
    classifiers: EnsembleSpec, splits: Sequence[LabeledSplit], new_counter: NewCounter
) -> LabelPredictions:
    """Predict validation images; the thresholds for each fold are fitted on the other folds. splits: one per run."""
    targets = splits[0].targets
    probs = mean_class_probs(classifiers, [split.images for split in splits], new_counter)
    return LabelPredictions(probs, cross_fitted_predictions(probs, targets, threshold_kind(classifiers)), targets)


def threshold_kind(classifiers: EnsembleSpec) -> str:
    """per-class, global or 0.5: the first run's setting."""
    return classifiers.runs[0].config(TrainClsConfig()).threshold.thresholds


def label_dice(predicted: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Dice of each image's label set, (N,). predicted: (N, 20) bool; targets: (N, 20), IGNORE is not scored."""
    return sample_f1(predicted & (targets != IGNORE), targets == 1)


def classification_dice(
    classifiers: EnsembleSpec, splits: Sequence[LabeledSplit], new_counter: NewCounter
) -> np.ndarray:
    """Dice of each validation image, (N,). splits: one per run."""
    labels = predict_labels(classifiers, splits, new_counter)
    return label_dice(labels.predicted, labels.targets)
