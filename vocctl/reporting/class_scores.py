"""The classes' scores of an evaluation with their intervals, its headline figure, and paired differences: from what eval
wrote, by bootstrap over the images."""

from collections.abc import Callable, Sequence
from math import nan

import numpy as np

from vocctl.labels import CLASSES, SEG_CLASSES
from vocctl.metrics.average_precision import class_aps, mean_defined
from vocctl.metrics.bootstrap import draws, interval
from vocctl.plots.classes import ClassScores
from vocctl.runs.evaluations import Evaluation

RESAMPLES = 300  # for 95 % intervals in pictures; eval --ci takes what it is told
SUPPORT = {True: "share of the pixels", False: "images"}
Draws = Sequence[np.ndarray]


def class_scores(evaluation: Evaluation, label: str = "") -> ClassScores:
    """IoU of a segmenter, AP (sklearn) of a classifier, with 95 % intervals where each image's counts are known."""
    segments = "image_iou" in evaluation.scores
    names = SEG_CLASSES if segments else CLASSES
    held = evaluation.scores["scores"]["iou"] if segments else evaluation.scores["ap"]["sklearn"]
    values = {name: nan if held[name] is None else float(held[name]) for name in names}
    resampled = _resampled(evaluation, _draws(evaluation))
    intervals = {}
    if resampled is not None:
        for place, name in enumerate(names):
            if np.isfinite(values[name]) and np.isfinite(resampled[:, place]).any():
                intervals[name] = interval(resampled[:, place])
    return ClassScores(label, values, class_scores_mean(evaluation), intervals)


def class_frequencies(evaluation: Evaluation) -> dict[str, dict[str, int | float]]:
    """How much of each class the truth holds: "images", and of a segmenter "% of pixels"; each by class."""
    if "image_iou" not in evaluation.scores:
        return {"images": dict(evaluation.scores["positives"])}
    held: dict[str, dict[str, int | float]] = {}
    if counts := evaluation.image_confusions:
        there = np.stack([one.sum(1) > 0 for one in counts.values()]).sum(0)
        held["images"] = dict(zip(SEG_CLASSES, there.tolist(), strict=True))
    shares = 100 * evaluation.confusion.sum(1) / max(evaluation.confusion.sum(), 1)
    return held | {"% of pixels": dict(zip(SEG_CLASSES, shares.tolist(), strict=True))}


def support(evaluation: Evaluation) -> dict[str, str]:
    """Class -> how much of it the truth holds, in words."""
    held = class_frequencies(evaluation)
    said = {"images": lambda value: f"{value} images", "% of pixels": lambda value: f"{value:.1f} % of pixels"}
    names = next(iter(held.values()))
    return {name: ", ".join(said[unit](column[name]) for unit, column in held.items()) for name in names}


def image_ids(evaluation: Evaluation) -> tuple[str, ...]:
    if "image_iou" in evaluation.scores:
        return tuple(evaluation.scores["image_iou"])
    return evaluation.predictions.ids


def difference(first: Sequence[Evaluation], others: Sequence[Evaluation]) -> tuple[float, float, float] | None:
    """Of the groups' mean headline scores, others minus first, with the 95 % interval of a paired bootstrap over the images.

    The runs stay as they are, so the interval knows nothing of other seeds. None where an evaluation lacks each image's
    counts, or the images are not the same.
    """
    everything = [*first, *others]
    if any(image_ids(one) != image_ids(everything[0]) for one in everything):
        return None
    drawn = _draws(everything[0])
    means = []
    for group in (first, others):
        values = []
        for one in group:
            resampled = _resampled(one, drawn)
            if resampled is None:
                return None
            values.append(np.array([mean_defined(row) for row in _present(one, resampled)]))
        means.append(np.mean(values, axis=0))
    low, high = interval(means[1] - means[0])
    mine, theirs = (np.mean([class_scores_mean(one) for one in group]) for group in (first, others))
    return float(theirs - mine), low, high


def class_scores_mean(evaluation: Evaluation) -> float:
    """The headline: mean IoU, or mAP (sklearn); nan where it is undefined, of images without a class."""
    mean = evaluation.scores["scores"]["mean_iou" if "image_iou" in evaluation.scores else "map_sklearn"]
    return nan if mean is None else float(mean)


def _draws(evaluation: Evaluation) -> Draws:
    return list(draws(len(image_ids(evaluation)), RESAMPLES, np.random.default_rng(0)))


def _resampled(evaluation: Evaluation, drawn: Draws) -> np.ndarray | None:
    """(resamples, K) of each class's score."""
    if "image_iou" not in evaluation.scores:
        predictions = evaluation.predictions
        of_draw: Callable[[np.ndarray], np.ndarray] = lambda counts: class_aps(  # noqa: E731
            predictions.probs, predictions.targets, counts
        )["sklearn"]
        return np.stack([of_draw(counts) for counts in drawn])
    if not evaluation.image_confusions:
        return None
    cells = np.stack([one.ravel() for one in evaluation.image_confusions.values()]).astype(float)  # (N, 441)
    confusions = (np.stack(drawn) @ cells).reshape(len(drawn), len(SEG_CLASSES), len(SEG_CLASSES))
    hits = np.einsum("rkk->rk", confusions)
    union = confusions.sum(1) + confusions.sum(2) - hits
    return np.where(union > 0, hits / np.maximum(union, 1), np.nan)


def _present(evaluation: Evaluation, resampled: np.ndarray) -> np.ndarray:
    """Without the classes that the truth lacks, which are in no mean."""
    if "image_iou" not in evaluation.scores:
        return resampled
    return resampled[:, evaluation.confusion.sum(1) > 0]
