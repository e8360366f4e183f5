"""`vocctl eval` of classifiers: score one run or an ensemble on a split, or compare two runs, and store the predictions."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from vocctl.config import EvalOptions, TrainClsConfig
from vocctl.data.devkit import MANIFEST
from vocctl.errors import DataError
from vocctl.inference.ensemble import mean_probs
from vocctl.inference.eval_split import eval_split
from vocctl.inference.load import classifier_probs
from vocctl.inference.thresholds import binarize, cross_fitted_predictions
from vocctl.labels import CLASSES, IGNORE
from vocctl.metrics.average_precision import class_aps, mean_defined
from vocctl.metrics.bootstrap import interval, resampled, two_sided_p
from vocctl.metrics.multilabel import multilabel_scores, sample_f1
from vocctl.runs.cls_evaluation import ClsEvaluation, ClsPredictions, write_cls_evaluation
from vocctl.runs.eval_files import EvalInfo
from vocctl.runs.evaluations import new_evaluation_folder
from vocctl.runs.find import find_run
from vocctl.runs.folder import RunFolder
from vocctl.runs.kinds import CLS

DEFAULTS = EvalOptions()
RESAMPLES = 1000  # of a comparison without --ci
OnImage = Callable[[int, int], None]  # called with (finished images, all images)


@dataclass(frozen=True)
class PairedComparison:
    """One score of two runs, and a paired bootstrap of their difference over the images."""

    metric: str
    first: float
    second: float
    low: float  # 95 % interval of second - first
    high: float
    p: float  # two-sided


def evaluate(names: Sequence[str], options: EvalOptions = DEFAULTS, on_image: OnImage | None = None) -> ClsEvaluation:
    """Score one train-cls run, or the mean of several runs' probabilities, and write a folder of the first run's eval/.

    Raises DataError: no such run; weights or data are missing or corrupt; the runs were validated on different images.
    RunError: no space.
    """
    runs = [find_run(name, CLS.task) for name in names]
    for run in runs:
        if run.split_ids("val") != runs[0].split_ids("val"):
            raise DataError(
                f"{run.path} and {runs[0].path} were validated on different images: scores are optimistic for runs that "
                "were trained on some of them"
            )
    config = runs[0].config(TrainClsConfig())
    source, split, labeled = eval_split(runs[0], config.data, options.data, options.split)
    ids, targets = labeled.images.ids, labeled.targets
    probs = mean_probs([_run_probs(run, options, on_image) for run in runs])
    kind = options.thresholds or config.threshold.thresholds
    # adversarial images (MANIFEST) get the run's own thresholds, as in the attack's table
    may_cross_fit = not (source.root / MANIFEST).is_file()
    predicted, threshold_source = _predict_labels(runs, options.checkpoint, kind, ids, probs, targets, may_cross_fit)
    predictions = ClsPredictions(ids, probs, predicted, targets)
    folder = new_evaluation_folder(
        [run.path for run in runs], data=source.name, split=split, data_path=source.root,
        fingerprint=labeled.images.fingerprint, checkpoint=options.checkpoint, tta=options.tta,
        thresholds=None if kind == config.threshold.thresholds else kind,
    )  # fmt: skip
    info = EvalInfo(
        folder=folder, data=source.name, split=split, checkpoint=options.checkpoint, tta=options.tta,
        num_images=len(ids), data_path=str(source.root.absolute()), fingerprint=labeled.images.fingerprint,
    )  # fmt: skip
    evaluation = ClsEvaluation(
        info=info,
        members=tuple(str(run.path.absolute()) for run in runs),
        thresholds=kind,
        threshold_source=threshold_source,
        positives=dict(zip(CLASSES, (targets == 1).sum(0).tolist(), strict=True)),
        **_scores(predictions),
        intervals=_intervals(predictions, options.ci) if options.ci else {},
    )
    write_cls_evaluation(evaluation, predictions)
    return evaluation


def compare(
    first: str, second: str, options: EvalOptions = DEFAULTS, on_image: OnImage | None = None
) -> tuple[ClsEvaluation, ClsEvaluation, list[PairedComparison]]:
    """Evaluate two runs and compare them by a paired bootstrap over the images: both are scored on the same resamples.

    options.ci: number of resamples, RESAMPLES if 0. The predicted labels are fixed. Raises DataError as evaluate does, and
    if the runs score different images.
    """
    evaluations = [evaluate([name], replace(options, ci=0), on_image) for name in (first, second)]
    a, b = (evaluation.predictions for evaluation in evaluations)
    if a.ids != b.ids:
        raise DataError(f"{first} and {second} score different images: name --data and --split for both")

    def differences(image_counts: np.ndarray) -> dict[str, float]:
        scores_a, scores_b = _resampled_scores(a, image_counts), _resampled_scores(b, image_counts)
        return {metric: scores_b[metric] - scores_a[metric] for metric in scores_a}

    rows = []
    for metric, values in resampled(differences, len(a.ids), options.ci or RESAMPLES, seed=0).items():
        score_a, score_b = (evaluation.scores[metric] for evaluation in evaluations)
        low, high = interval(values)
        rows.append(PairedComparison(metric, score_a, score_b, low, high, two_sided_p(values)))
    return evaluations[0], evaluations[1], rows


def _run_probs(run: RunFolder, options: EvalOptions, on_image: OnImage | None) -> np.ndarray:
    """(N, 20) float64 probabilities of one run, for the images at its input size."""
    _, _, labeled = eval_split(run, run.config(TrainClsConfig()).data, options.data, options.split)
    probs = classifier_probs(
        run, labeled.images, checkpoint=options.checkpoint, tta=options.tta, device=options.device, on_image=on_image
    )
    return probs.astype(np.float64)


def _predict_labels(
    runs: Sequence[RunFolder], checkpoint: str, kind: str, ids: Sequence[str], probs: np.ndarray, targets: np.ndarray,
    may_cross_fit: bool,
) -> tuple[np.ndarray, str]:  # fmt: skip
    """Predicted labels (N, 20) bool, and how their thresholds were fitted.

    If any image is a validation image of the first run, on which its thresholds were fitted, all are cross-fitted.
    may_cross_fit: False for images that only share their ids with the validation images.
    """
    if kind == "0.5":
        return binarize(probs, np.full(len(CLASSES), 0.5)), "no fit: 0.5 for all classes"
    if may_cross_fit and set(ids) & set(runs[0].split_ids("val")):
        predicted = cross_fitted_predictions(probs, targets, kind)
        return predicted, "cross-fitted: each fifth of the images with thresholds fitted on the other four"
    thresholds = np.mean([run.thresholds(checkpoint, kind) for run in runs], axis=0)
    return binarize(probs, thresholds), "fitted on the run's validation images"


def _scores(predictions: ClsPredictions) -> dict[str, dict]:
    """scores and per_class of a ClsEvaluation."""
    aps = class_aps(predictions.probs, predictions.targets)
    values = asdict(multilabel_scores(predictions.probs, predictions.predicted, predictions.targets))
    of_classes = {metric: value for metric, value in values.items() if isinstance(value, np.ndarray)}
    per_class = {f"ap_{name}": ap for name, ap in aps.items()} | of_classes
    scores = {f"map_{name}": mean_defined(ap) for name, ap in aps.items()}
    scores |= {metric: value for metric, value in values.items() if metric not in of_classes}
    return {
        "scores": scores,
        "per_class": {metric: dict(zip(CLASSES, values.tolist(), strict=True)) for metric, values in per_class.items()},
    }


def _intervals(predictions: ClsPredictions, resamples: int) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals over the images, by metric."""
    values = resampled(lambda counts: _resampled_scores(predictions, counts), len(predictions.ids), resamples, seed=0)
    return {metric: interval(of_metric) for metric, of_metric in values.items()}


def _resampled_scores(predictions: ClsPredictions, image_counts: np.ndarray) -> dict[str, float]:
    """Scores of one bootstrap resample, by metric. image_counts: (N,), how often each image is drawn."""
    aps = class_aps(predictions.probs, predictions.targets, image_counts)
    f1 = sample_f1(predictions.predicted & (predictions.targets != IGNORE), predictions.targets == 1)
    return {f"map_{name}": mean_defined(values) for name, values in aps.items()} | {
        "sample_f1": float((f1 * image_counts).sum() / image_counts.sum())
    }
