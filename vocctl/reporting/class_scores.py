"""Class scores of an evaluation with confidence intervals, class frequencies, and paired differences between runs.

Everything is computed from the files that eval has written. Intervals come from a bootstrap over the images.
"""

from collections.abc import Sequence

import numpy as np

from vocctl.metrics.average_precision import mean_defined
from vocctl.metrics.bootstrap import draws, interval
from vocctl.runs.evaluations import Evaluation

RESAMPLES = 300  # of the bootstrap, for 95 % intervals in figures; eval --ci sets its own number
FREQUENCY_FORMATS = {"images": "{} images", "% of pixels": "{:.1f} % of pixels"}


def class_intervals(evaluation: Evaluation) -> dict[str, tuple[float, float]]:
    """The 95 % interval of each class score that is defined."""
    resampled = evaluation.resampled_class_scores(_resample_counts(evaluation))
    return {
        name: interval(resampled[:, index])
        for index, (name, score) in enumerate(evaluation.class_scores.items())
        if np.isfinite(score) and np.isfinite(resampled[:, index]).any()
    }


def format_frequencies(evaluation: Evaluation) -> dict[str, str]:
    """How often each class occurs in the ground truth, as text: "4 images, 2.5 % of pixels"."""
    frequencies = evaluation.class_frequencies()
    return {
        name: ", ".join(FREQUENCY_FORMATS[unit].format(column[name]) for unit, column in frequencies.items())
        for name in evaluation.kind.class_names
    }


def paired_difference(
    baseline: Sequence[Evaluation], evaluations: Sequence[Evaluation]
) -> tuple[float, float, float] | None:
    """Mean main score of the evaluations minus that of the baseline, and its 95 % interval (low, high).

    The interval is a paired bootstrap over the images; the trained runs are fixed, so it does not include the variation
    between seeds. None if the images are not the same.
    """
    everything = [*baseline, *evaluations]
    if any(evaluation.image_ids != everything[0].image_ids for evaluation in everything):
        return None
    counts = _resample_counts(everything[0])
    means, scores = [], []
    for group in (baseline, evaluations):
        means.append(np.mean([_resample_main_score(evaluation, counts) for evaluation in group], axis=0))
        scores.append(np.mean([evaluation.main_score for evaluation in group]))
    low, high = interval(means[1] - means[0])
    return float(scores[1] - scores[0]), low, high


def _resample_counts(evaluation: Evaluation) -> np.ndarray:
    """How often each image counts in each resample, (resamples, N); the same for all evaluations of N images."""
    return np.stack(list(draws(len(evaluation.image_ids), RESAMPLES, np.random.default_rng(0))))


def _resample_main_score(evaluation: Evaluation, counts: np.ndarray) -> np.ndarray:
    """(resamples,) means over the classes of the ground truth."""
    resampled = evaluation.resampled_class_scores(counts)[:, evaluation.classes_in_mean()]
    return np.array([mean_defined(scores) for scores in resampled])
