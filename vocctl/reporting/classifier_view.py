"""How figures and the report show a classifier."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vocctl.labels import CLASSES
from vocctl.metrics.multilabel import cooccurrence, multilabel_confusion
from vocctl.plots.confusion import ClassMatrix
from vocctl.plots.report_page import GalleryCard, thumbnail_url
from vocctl.reporting.error_ranking import most_confident_errors
from vocctl.runs.cls_evaluation import ClsEvaluation
from vocctl.runs.records import RunRecord

CONFUSION_NOTE = (
    "Left, diagonal: recall. Left, elsewhere: of the images with the row's class and without the column's class, those on "
    "which the column's class was predicted.\nRight: of the images with the row's class in the ground truth, those that also "
    "have the column's class. Rows need not sum to 100."
)


class ClassifierView:
    def confusion_matrices(self, evaluation: ClsEvaluation) -> tuple[list[ClassMatrix], str]:
        predictions = evaluation.predictions
        confusion = multilabel_confusion(predictions.predicted, predictions.targets)
        pairs = cooccurrence(predictions.targets)
        matrices = [
            ClassMatrix("multi-label confusion", confusion, CLASSES, "class in the ground truth", "predicted class"),
            ClassMatrix(
                "co-occurrence in the ground truth", pairs, CLASSES, "class in the ground truth", "class also in it"
            ),
        ]
        return matrices, CONFUSION_NOTE

    def rank_images(self, evaluation: ClsEvaluation) -> list[str]:
        """Sort by the confidence of each image's most confident error; images without an error follow in their own order."""
        predictions = evaluation.predictions
        with_error = [image for image, _ in most_confident_errors(predictions)]
        without_error = sorted(set(range(len(predictions.ids))) - set(with_error))
        return [predictions.ids[image] for image in with_error + without_error]

    def gallery_card(self, run: RunRecord, evaluation: ClsEvaluation, image_id: str) -> GalleryCard:
        predictions = evaluation.predictions
        image = predictions.ids.index(image_id)
        probs, targets, predicted = predictions.probs[image], predictions.targets[image], predictions.predicted[image]
        false_negatives, false_positives = predictions.false_negatives[image], predictions.false_positives[image]
        lines = [
            f"ground truth: {', '.join(_names(targets == 1)) or 'no class'}",
            f"predicted: {_names_with_probability(predicted, probs)}",
        ]
        if false_negatives.any():
            lines.append(f"false negative: {_names_with_probability(false_negatives, probs)}")
        errors = [
            name
            for name, mask in (("false negative", false_negatives), ("false positive", false_positives))
            if mask.any()
        ]
        return GalleryCard(
            image_id=image_id,
            run=run.name,
            kind="clean",
            image=thumbnail_url(evaluation.info.source.image(image_id)),
            layers=[],
            lines=lines,
            classes=_names((targets == 1) | predicted),
            errors=errors or ["all correct"],
        )

    def describe_model(self, settings: Mapping[str, Any]) -> str:
        return f"The classifier {settings['model']}"

    def is_from_scratch(self, settings: Mapping[str, Any]) -> bool:
        return settings["model"] == "scratch" or settings["weights"] == "none"

    def eval_flags(self, evaluation: ClsEvaluation) -> Sequence[str]:
        return ("--thresholds", evaluation.thresholds)


def _names(mask: np.ndarray) -> list[str]:
    """Names of the classes whose value is true. mask: (20,) bool."""
    return [CLASSES[label] for label in np.flatnonzero(mask)]


def _names_with_probability(mask: np.ndarray, probs: np.ndarray) -> str:
    """ "dog 93 %, cat 51 %". mask: (20,) bool. probs: (20,) in [0, 1]."""
    return ", ".join(f"{CLASSES[label]} {100 * probs[label]:.0f} %" for label in np.flatnonzero(mask))
