"""Pictures of what runs predicted: confusion, classes, masks, mistakes."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import numpy as np

from vocctl.config import closest
from vocctl.data.multilabel import with_labels
from vocctl.errors import DataError
from vocctl.labels import CLASSES, IGNORE, SEG_CLASSES
from vocctl.metrics.multilabel import cooccurrence, multilabel_confusion
from vocctl.plots.classes import ClassScores, draw_classes
from vocctl.plots.confusion import SquareTable, draw_tables, row_shares
from vocctl.plots.errors import ErrorCase, LabelBar, draw_errors
from vocctl.plots.segmentation import Case, draw_cases
from vocctl.reporting.class_scores import class_scores, support
from vocctl.reporting.config_diff import ConfigGroup, group_by_config
from vocctl.reporting.options import NothingToPlot, PlotOptions, by_task, evaluated
from vocctl.runs.evaluations import Evaluation, Predictions, RunRecord

PICKS = ("best", "worst", "random")
BARS = 5  # probabilities shown of a image


def confusion(runs: Sequence[RunRecord], wish: PlotOptions) -> list[Path]:
    """One picture a run."""
    return [_confusion(run, evaluated(run), wish) for run in runs]


def _confusion(run: RunRecord, evaluation: Evaluation, wish: PlotOptions) -> Path:
    place = wish.place(run, f"confusion-{evaluation.name}")
    title = f"{run.name} on {evaluation.name}, {evaluation.scores['images']} images"
    if run.segments:
        shares = row_shares(evaluation.confusion)
        table = SquareTable("pixels, each row by its sum", shares, SEG_CLASSES, "true class", "predicted class")
        return draw_tables([table], place, title=title, note="All pixels of all images; borders (255) are left out.")
    predictions = evaluation.predictions
    found = multilabel_confusion(predictions.decided, predictions.targets)
    beside = cooccurrence(predictions.targets)
    tables = [
        SquareTable("what is predicted where a class is", found, CLASSES, "class on the image", "class predicted"),
        SquareTable("what occurs together", beside, CLASSES, "class on the image", "class also on it"),
    ]
    note = (
        "Left: of the images with the row's class, those on which it was found (diagonal: recall); of those without the "
        "column's class,\nthose on which that was predicted all the same. A row need not sum to 100. Right: of the images "
        "with the row's class, those that hold the column's too, by the truth."
    )
    return draw_tables(tables, place, title=title, note=note)


def classes(runs: Sequence[RunRecord], wish: PlotOptions) -> list[Path]:
    """One run: each class with its interval. Several: a color for each config, the mean over its seeds."""
    drawn = []
    for alike in by_task(runs):
        evaluations = [evaluated(run) for run in alike]
        names = {one.name for one in evaluations}
        if len(names) > 1:
            raise NothingToPlot(f"the runs were scored on {' and '.join(sorted(names))}: name one with --eval")
        score = "IoU, %" if alike[0].segments else "average precision (sklearn's definition), %"
        if len(alike) == 1:
            series, who = [class_scores(evaluations[0])], alike[0].name
            place = wish.place(alike[0], f"classes-{evaluations[0].name}")
        else:
            series, who = [_mean_scores(group) for group in group_by_config(alike)], f"{len(alike)} runs"
            place = wish.shared_place(alike, "classes")
        title = f"{who} on {evaluations[0].name}, {evaluations[0].scores['images']} images"
        known = any(one.intervals for one in series)
        intervals = "Bar: 95 % interval, bootstrap over the images. " if known else ""
        note = f"{intervals}Dotted: mean over the classes that the truth holds."
        drawn.append(draw_classes(series, support(evaluations[0]), place, title=title, score=score, note=note))
    return drawn


def _mean_scores(group: ConfigGroup) -> ClassScores:
    """Over the group's runs; of one run, with its intervals."""
    scores = [class_scores(evaluated(run), group.label) for run in group.runs]
    if len(scores) == 1:
        return scores[0]
    values = {name: mean(one.values[name] for one in scores) for name in scores[0].values}
    return ClassScores(f"{group.label} ({len(scores)} runs)".strip(), values, mean(one.mean for one in scores))


def masks(runs: Sequence[RunRecord], wish: PlotOptions) -> list[Path]:
    """One picture a segmenter: image, truth, prediction and errors."""
    segmenters = [run for run in runs if run.segments]
    if not segmenters:
        raise NothingToPlot(f"masks are drawn of a segmenter, {runs[0].folder.path} is a run of {runs[0].task}")
    return [_masks(run, evaluated(run), wish) for run in segmenters]


def _masks(run: RunRecord, evaluation: Evaluation, wish: PlotOptions) -> Path:
    by_image: dict[str, float] = evaluation.scores["image_iou"]
    chosen, rule = _picked(evaluation, by_image, wish)
    cases = [_case(evaluation, image_id, by_image[image_id]) for image_id in chosen]
    title = f"{run.name} on {evaluation.name}: {rule} of {len(by_image)} images, by each image's own mean IoU"
    stem = f"{wish.pick if wish.pick in PICKS else 'masks'}-{evaluation.name}"
    return draw_cases(cases, wish.place(run, stem), title=title)


def _picked(evaluation: Evaluation, by_image: dict[str, float], wish: PlotOptions) -> tuple[list[str], str]:
    """Ids, and in words how they were chosen. Raises DataError: an id that was not scored."""
    ranked = sorted((i for i, score in by_image.items() if score is not None), key=lambda i: by_image[i])
    if not ranked:
        raise NothingToPlot(f"{evaluation.folder} scored no image with labeled pixels: nothing to draw")
    if wish.pick and wish.pick not in PICKS:
        ids = [part.strip() for part in wish.pick.split(",") if part.strip()]
        if strange := next((one for one in ids if one not in by_image), None):
            near = closest(strange, by_image) or f": --select takes {', '.join(PICKS)} or ids"
            raise DataError(f"{evaluation.folder} has no image {strange!r}{near}")
        return ids, "these"
    count = min(wish.cases, len(ranked))
    shuffled = np.random.default_rng(0).permutation(ranked).tolist()
    kinds = {"best": ranked[::-1][:count], "worst": ranked[:count], "random": shuffled[:count]}
    if wish.pick:
        said = {"best": f"the {count} best", "worst": f"the {count} worst", "random": f"{count} drawn at random"}
        return kinds[wish.pick], said[wish.pick]
    worst = ranked[: -(-count // 2)]
    drawn = [image_id for image_id in shuffled if image_id not in worst][: count - len(worst)]
    return drawn + worst, f"{len(drawn)} drawn at random, then the {len(worst)} worst,"


def _case(evaluation: Evaluation, image_id: str, score: float) -> Case:
    source = evaluation.source
    truth = source.mask(image_id)
    predicted = evaluation.label_map(image_id, truth.shape)
    return Case(image_id, score, source.image(image_id), truth, predicted)


def mistakes(runs: Sequence[RunRecord], wish: PlotOptions) -> list[Path]:
    """One picture a classifier: the images that it was surest about and wrong."""
    classifiers = [run for run in runs if not run.segments]
    if not classifiers:
        raise NothingToPlot(f"mistakes are drawn of a classifier, {runs[0].folder.path} is a run of {runs[0].task}")
    return [_mistakes(run, evaluated(run), wish) for run in classifiers]


def _mistakes(run: RunRecord, evaluation: Evaluation, wish: PlotOptions) -> Path:
    predictions = evaluation.predictions
    surest = surest_mistakes(predictions)
    if not surest:
        raise NothingToPlot(f"{run.folder.path} made no mistake on {evaluation.name}: nothing to draw")
    images = with_labels(evaluation.source)
    shown = [
        ErrorCase(
            predictions.ids[image],
            f"{CLASSES[label]} {'missed' if predictions.targets[image, label] == 1 else 'wrongly found'}",
            images.image(predictions.ids[image]),
            _bars(predictions, image, label),
        )
        for image, label in surest[: max(wish.cases, 8)]
    ]
    title = (
        f"{run.name} on {evaluation.name}: the {len(shown)} surest mistakes, of {len(surest)} images with one "
        f"({len(predictions.ids)} in all)"
    )
    return draw_errors(shown, wish.place(run, f"mistakes-{evaluation.name}"), title=title)


def surest_mistakes(predictions: Predictions) -> list[tuple[int, int]]:
    """(image, class) of each image with a wrong decision: the surest one of it, the surest image first.

    How sure: the probability of a class wrongly found; 1 - it of a class missed.
    """
    targets, decided = predictions.targets, predictions.decided
    sure = np.where((targets == 0) & decided, predictions.probs, -1.0)
    sure = np.where((targets == 1) & ~decided, 1 - predictions.probs, sure)
    label = sure.argmax(1)
    of_image = sure.max(1)
    return [(int(image), int(label[image])) for image in np.argsort(-of_image, kind="stable") if of_image[image] >= 0]


def _bars(predictions: Predictions, image: int, label: int) -> list[LabelBar]:
    """The highest probabilities, and the class that is mistaken and the true ones in any case."""
    probs, targets = predictions.probs[image], predictions.targets[image]
    must = {label, *np.flatnonzero(targets == 1).tolist()}
    ranked = np.argsort(-probs, kind="stable").tolist()
    kept = set([*sorted(must, key=ranked.index), *[place for place in ranked if place not in must]][:BARS])
    truth = {1: "true", 0: "not true", IGNORE: "in no score"}
    return [
        LabelBar(
            CLASSES[place], float(probs[place]), truth[int(targets[place])], bool(predictions.decided[image, place])
        )
        for place in ranked
        if place in kept
    ]
