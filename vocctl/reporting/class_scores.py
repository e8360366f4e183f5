"""Class scores of an evaluation with confidence intervals, class frequencies, and paired differences between runs.

Everything is computed from the files that eval has written. Intervals come from a bootstrap over the images.
"""

from collections.abc import Sequence
from math import nan

import numpy as np

from vocctl.labels import CLASSES, SEG_CLASSES
from vocctl.metrics.average_precision import class_aps, mean_defined
from vocctl.metrics.bootstrap import draws, interval
from vocctl.runs.evaluations import Evaluation

RESAMPLES = 300  # of the bootstrap, for 95 % intervals in figures; eval --ci sets its own number
FREQUENCY_FORMATS = {"images": "{} images", "% of pixels": "{:.1f} % of pixels"}


def _is_segmentation(evaluation: Evaluation) -> bool:
    return "image_iou" in evaluation.scores


def class_scores(evaluation: Evaluation) -> dict[str, float]:
    """IoU of a segmenter, AP (sklearn's) of a classifier, by class, in [0, 1]; NaN: undefined."""
    segmentation = _is_segmentation(evaluation)
    names = SEG_CLASSES if segmentation else CLASSES
    scores = evaluation.scores["scores"]["iou"] if segmentation else evaluation.scores["ap"]["sklearn"]
    return {name: nan if scores[name] is None else float(scores[name]) for name in names}


def class_intervals(evaluation: Evaluation) -> dict[str, tuple[float, float]]:
    """The 95 % interval of each class score that is defined; empty if the counts of each image are not known."""
    resampled = _resample_class_scores(evaluation, _resample_counts(evaluation))
    if resampled is None:
        return {}
    return {
        name: interval(resampled[:, index])
        for index, (name, score) in enumerate(class_scores(evaluation).items())
        if np.isfinite(score) and np.isfinite(resampled[:, index]).any()
    }


def class_frequencies(evaluation: Evaluation) -> dict[str, dict[str, int | float]]:
    """How often each class occurs in the ground truth: "images" and, for a segmenter, "% of pixels"; each by class."""
    if not _is_segmentation(evaluation):
        return {"images": dict(evaluation.scores["positives"])}
    frequencies: dict[str, dict[str, int | float]] = {}
    if confusions := evaluation.image_confusions:
        images = np.stack([confusion.sum(1) > 0 for confusion in confusions.values()]).sum(0)
        frequencies["images"] = dict(zip(SEG_CLASSES, images.tolist(), strict=True))
    percent = 100 * evaluation.confusion.sum(1) / max(evaluation.confusion.sum(), 1)
    return frequencies | {"% of pixels": dict(zip(SEG_CLASSES, percent.tolist(), strict=True))}


def format_frequencies(evaluation: Evaluation) -> dict[str, str]:
    """class_frequencies as one text per class: "4 images, 2.5 % of pixels"."""
    frequencies = class_frequencies(evaluation)
    return {
        name: ", ".join(FREQUENCY_FORMATS[unit].format(column[name]) for unit, column in frequencies.items())
        for name in next(iter(frequencies.values()))
    }


def image_ids(evaluation: Evaluation) -> tuple[str, ...]:
    return tuple(evaluation.scores["image_iou"]) if _is_segmentation(evaluation) else evaluation.predictions.ids


def class_scores_mean(evaluation: Evaluation) -> float:
    """The main score: mean IoU, or mAP (sklearn's); NaN if no image has a class."""
    mean = evaluation.scores["scores"]["mean_iou" if _is_segmentation(evaluation) else "map_sklearn"]
    return nan if mean is None else float(mean)


def paired_difference(
    baseline: Sequence[Evaluation], evaluations: Sequence[Evaluation]
) -> tuple[float, float, float] | None:
    """Mean main score of the evaluations minus that of the baseline, and its 95 % interval (low, high).

    The interval is a paired bootstrap over the images; the trained runs are fixed, so it does not include the variation
    between seeds. None if the images are not the same, or if an evaluation does not have the counts of each image.
    """
    everything = [*baseline, *evaluations]
    if any(image_ids(evaluation) != image_ids(everything[0]) for evaluation in everything):
        return None
    counts = _resample_counts(everything[0])
    means = []
    for group in (baseline, evaluations):
        resampled = [_resample_main_score(evaluation, counts) for evaluation in group]
        defined = [values for values in resampled if values is not None]
        if len(defined) < len(resampled):
            return None
        means.append(np.mean(defined, axis=0))
    low, high = interval(means[1] - means[0])
    baseline_mean, mean = (np.mean([class_scores_mean(one) for one in group]) for group in (baseline, evaluations))
    return float(mean - baseline_mean), low, high


def _resample_counts(evaluation: Evaluation) -> list[np.ndarray]:
    """How often each image counts in each resample, (N,) int; the same for all evaluations of N images."""
    return list(draws(len(image_ids(evaluation)), RESAMPLES, np.random.default_rng(0)))


def _resample_class_scores(evaluation: Evaluation, counts: Sequence[np.ndarray]) -> np.ndarray | None:
    """(resamples, K) class scores; None if the counts of each image are not known."""
    if not _is_segmentation(evaluation):
        predictions = evaluation.predictions
        aps = [class_aps(predictions.probs, predictions.targets, count)["sklearn"] for count in counts]
        return np.stack(aps)
    if not evaluation.image_confusions:
        return None
    cells = np.stack([confusion.ravel() for confusion in evaluation.image_confusions.values()]).astype(
        float
    )  # (N, 441)
    confusions = (np.stack(counts) @ cells).reshape(len(counts), len(SEG_CLASSES), len(SEG_CLASSES))
    intersection = np.einsum("rkk->rk", confusions)
    union = confusions.sum(1) + confusions.sum(2) - intersection
    return np.where(union > 0, intersection / np.maximum(union, 1), np.nan)


def _resample_main_score(evaluation: Evaluation, counts: Sequence[np.ndarray]) -> np.ndarray | None:
    """(resamples,) means over the classes of the ground truth."""
    resampled = _resample_class_scores(evaluation, counts)
    if resampled is None:
        return None
    if _is_segmentation(evaluation):
        resampled = resampled[:, evaluation.confusion.sum(1) > 0]
    return np.array([mean_defined(scores) for scores in resampled])
