"""Figures of what runs predicted: the kinds confusion, classes, masks and errors."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import cast

import numpy as np

from vocctl.config import did_you_mean
from vocctl.errors import DataError
from vocctl.labels import CLASSES, IGNORE
from vocctl.plots.class_scores import ClassSeries, draw_class_scores
from vocctl.plots.confusion import draw_class_matrices
from vocctl.plots.errors import ABSENT, NOT_SCORED, PRESENT, ErrorCase, ProbabilityBar, draw_errors
from vocctl.plots.segmentation import SegmentationCase, draw_segmentation_cases
from vocctl.reporting.class_scores import class_intervals, format_frequencies
from vocctl.reporting.config_diff import ConfigGroup, group_by_config
from vocctl.reporting.error_ranking import most_confident_errors
from vocctl.reporting.options import (
    NothingToPlot,
    PlotOptions,
    evaluation_of,
    evaluations_on_same_images,
    group_by_task,
)
from vocctl.reporting.task_views import view_of
from vocctl.runs.cls_evaluation import ClsEvaluation, ClsPredictions
from vocctl.runs.evaluations import Evaluation
from vocctl.runs.records import RunRecord
from vocctl.runs.seg_evaluation import SegEvaluation

SELECTIONS = ("best", "worst", "random")
NUM_MASKS, NUM_ERRORS = 6, 8  # images in a figure, unless the options set another number
NUM_BARS = 5  # probabilities of an image
TRUTHS = {1: PRESENT, 0: ABSENT, IGNORE: NOT_SCORED}  # by target


def confusion(runs: Sequence[RunRecord], options: PlotOptions) -> list[Path]:
    """One figure per run."""
    return [_confusion(run, evaluation_of(run), options) for run in runs]


def _confusion(run: RunRecord, evaluation: Evaluation, options: PlotOptions) -> Path:
    matrices, note = view_of(run).confusion_matrices(evaluation)
    title = f"{run.name} on {evaluation.info.name}, {evaluation.info.num_images} images"
    return draw_class_matrices(matrices, options.path(run, f"confusion-{evaluation.info.name}"), title=title, note=note)


def classes(runs: Sequence[RunRecord], options: PlotOptions) -> list[Path]:
    """One run of a task: its score of each class with intervals. Several: a color per config, the mean over its runs."""
    return [_classes(same_task, options) for same_task in group_by_task(runs)]


def _classes(runs: Sequence[RunRecord], options: PlotOptions) -> Path:
    """runs: of one task."""
    evaluations = evaluations_on_same_images(runs)
    name = evaluations[0].info.name
    if len(runs) == 1:
        series, subject, path = [_series(evaluations[0], "")], runs[0].name, options.path(runs[0], f"classes-{name}")
    else:
        series = [_mean_series(group) for group in group_by_config(runs)]
        subject, path = f"{len(runs)} runs", options.shared_path(runs, f"classes-{name}")
    has_intervals = any(one_series.intervals for one_series in series)
    interval_note = "Bar: 95 % interval, bootstrap over the images. " if has_intervals else ""
    return draw_class_scores(
        series,
        format_frequencies(evaluations[0]),
        path,
        title=f"{subject} on {name}, {evaluations[0].info.num_images} images",
        score=runs[0].kind.class_metric.label,
        note=f"{interval_note}Dotted: mean over the classes of the ground truth.",
    )


def _series(evaluation: Evaluation, label: str) -> ClassSeries:
    return ClassSeries(label, evaluation.class_scores, evaluation.main_score, class_intervals(evaluation))


def _mean_series(group: ConfigGroup) -> ClassSeries:
    """The mean over the group's runs, without intervals; a single run's scores have their intervals."""
    evaluations = [evaluation_of(run) for run in group.runs]
    if len(evaluations) == 1:
        return _series(evaluations[0], group.label)
    scores = [evaluation.class_scores for evaluation in evaluations]
    means = {name: mean(of_run[name] for of_run in scores) for name in scores[0]}
    label = f"{group.label} ({len(scores)} runs)".strip()
    return ClassSeries(label, means, mean(evaluation.main_score for evaluation in evaluations))


def masks(runs: Sequence[RunRecord], options: PlotOptions) -> list[Path]:
    """One figure per segmenter."""
    return [_masks(run, cast(SegEvaluation, evaluation_of(run)), options) for run in runs]


def _masks(run: RunRecord, evaluation: SegEvaluation, options: PlotOptions) -> Path:
    image_iou = evaluation.image_iou
    image_ids, selection = _select_images(evaluation, options)
    cases = [_segmentation_case(evaluation, image_id, image_iou[image_id]) for image_id in image_ids]
    title = f"{run.name} on {evaluation.info.name}: {selection} of {len(image_iou)} images, by each image's mean IoU"
    stem = f"{options.select if options.select in SELECTIONS else 'masks'}-{evaluation.info.name}"
    return draw_segmentation_cases(cases, options.path(run, stem), title=title)


def _select_images(evaluation: SegEvaluation, options: PlotOptions) -> tuple[list[str], str]:
    """Image ids, and how they were selected as text. Raises DataError: an id that was not scored."""
    ranked = evaluation.worst_first()
    if not ranked:
        raise NothingToPlot(f"{evaluation.info.folder} scored no image with labeled pixels")
    if options.select and options.select not in SELECTIONS:
        image_ids = _check_image_ids(evaluation, options.select)
        return image_ids, f"{len(image_ids)} selected"
    count = min(options.num_images or NUM_MASKS, len(ranked))
    shuffled = np.random.default_rng(0).permutation(ranked).tolist()
    if options.select == "best":
        return ranked[::-1][:count], f"the {count} best"
    if options.select == "worst":
        return ranked[:count], f"the {count} worst"
    if options.select == "random":
        return shuffled[:count], f"{count} at random"
    worst = ranked[: -(-count // 2)]
    random = [image_id for image_id in shuffled if image_id not in worst][: count - len(worst)]
    return random + worst, f"{len(random)} at random, then the {len(worst)} worst,"


def _check_image_ids(evaluation: SegEvaluation, select: str) -> list[str]:
    image_ids = [part.strip() for part in select.split(",") if part.strip()]
    for image_id in image_ids:
        if image_id not in evaluation.image_iou:
            hint = (
                did_you_mean(image_id, evaluation.image_iou) or f": --select takes {', '.join(SELECTIONS)} or image ids"
            )
            raise DataError(f"{evaluation.info.folder} has no image {image_id!r}{hint}")
    return image_ids


def _segmentation_case(evaluation: SegEvaluation, image_id: str, mean_iou: float) -> SegmentationCase:
    source = evaluation.info.source
    true_labels = source.mask(image_id)
    predicted_labels = evaluation.label_map(image_id, true_labels.shape)
    return SegmentationCase(image_id, mean_iou, source.image(image_id), true_labels, predicted_labels)


def errors(runs: Sequence[RunRecord], options: PlotOptions) -> list[Path]:
    """One figure per classifier: the images with its most confident errors."""
    return [_errors(run, cast(ClsEvaluation, evaluation_of(run)), options) for run in runs]


def _errors(run: RunRecord, evaluation: ClsEvaluation, options: PlotOptions) -> Path:
    predictions = evaluation.predictions
    ranked = most_confident_errors(predictions)
    if not ranked:
        raise NothingToPlot(f"{run.folder.path} has no errors on {evaluation.info.name}")
    source = evaluation.info.source
    cases = [
        ErrorCase(
            predictions.ids[image],
            f"{'false negative' if predictions.targets[image, label] == 1 else 'false positive'}: {CLASSES[label]}",
            source.image(predictions.ids[image]),
            _probability_bars(predictions, image, label),
        )
        for image, label in ranked[: options.num_images or NUM_ERRORS]
    ]
    title = (
        f"{run.name} on {evaluation.info.name}: the {len(cases)} most confident errors; {len(ranked)} of "
        f"{len(predictions.ids)} images have an error"
    )
    return draw_errors(cases, options.path(run, f"errors-{evaluation.info.name}"), title=title)


def _probability_bars(predictions: ClsPredictions, image: int, error_label: int) -> list[ProbabilityBar]:
    """The highest probabilities of an image; the erroneous class and the true classes are always among them."""
    probs, targets = predictions.probs[image], predictions.targets[image]
    required = {error_label, *np.flatnonzero(targets == 1).tolist()}
    ranked = np.argsort(-probs, kind="stable").tolist()
    first = [label for label in ranked if label in required] + [label for label in ranked if label not in required]
    labels = set(first[:NUM_BARS])
    return [
        ProbabilityBar(
            CLASSES[label], float(probs[label]), TRUTHS[int(targets[label])], bool(predictions.predicted[image, label])
        )
        for label in ranked
        if label in labels
    ]
