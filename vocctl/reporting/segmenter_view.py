"""How figures and the report show a segmenter."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vocctl.labels import IGNORE, PALETTE, SEG_CLASSES
from vocctl.plots.confusion import ClassMatrix, normalize_rows
from vocctl.plots.mask_colors import ERROR_COLORS, colorize_labels, error_map, error_masks
from vocctl.plots.report_page import GalleryCard, Layer, layer_url, thumbnail_url
from vocctl.runs.records import RunRecord
from vocctl.runs.seg_evaluation import SegEvaluation

MIN_ERROR_FRACTION = 0.05  # of the object pixels; a kind of error below it is not named on a card


def _hex(color: Sequence[int]) -> str:
    return f"#{color[0]:02x}{color[1]:02x}{color[2]:02x}"


# Class or kind of error -> color of the gallery's layers.
LEGEND = {name: _hex(color) for name, color in zip(SEG_CLASSES[1:], PALETTE[1:], strict=False)} | {
    f"errors: {name}": _hex(color) for name, color in ERROR_COLORS.items() if name != "correct"
}


class SegmenterView:
    def confusion_matrices(self, evaluation: SegEvaluation) -> tuple[list[ClassMatrix], str]:
        fractions = normalize_rows(evaluation.confusion)
        matrix = ClassMatrix("pixels, normalized by row", fractions, SEG_CLASSES, "true class", "predicted class")
        return [matrix], "All pixels of all images, without void pixels (255)."

    def rank_images(self, evaluation: SegEvaluation) -> list[str]:
        """Sort by each image's mean IoU; images without labeled pixels are left out."""
        return evaluation.worst_first()

    def gallery_card(self, run: RunRecord, evaluation: SegEvaluation, image_id: str) -> GalleryCard:
        source = evaluation.info.source
        true_labels = source.mask(image_id)
        predicted_labels = evaluation.label_map(image_id, true_labels.shape)
        mean_iou = evaluation.image_iou[image_id]
        return GalleryCard(
            image_id=image_id,
            run=run.name,
            kind="clean",
            image=thumbnail_url(source.image(image_id)),
            layers=_layers(true_labels, predicted_labels),
            lines=[
                f"mean IoU {100 * mean_iou:.0f}\N{NO-BREAK SPACE}%",
                f"ground truth: {list_classes(true_labels)}",
                f"predicted: {list_classes(predicted_labels)}",
            ],
            classes=_object_classes(true_labels, predicted_labels),
            errors=name_errors(true_labels, predicted_labels),
        )

    def describe_model(self, settings: Mapping[str, Any]) -> str:
        skip = "" if settings["skip"] else " without skip connections"
        return f"A {settings['decoder']} segmenter with encoder {settings['encoder']}{skip}"

    def is_from_scratch(self, settings: Mapping[str, Any]) -> bool:
        return settings["encoder"] == "scratch" or settings["weights"] == "none"

    def eval_flags(self, evaluation: SegEvaluation) -> Sequence[str]:
        return ()


def labels_layer(name: str, labels: np.ndarray) -> Layer:
    """A layer of the objects in VOC's palette; the background is transparent. labels: (H, W)."""
    return Layer(name, layer_url(_rgba(colorize_labels(labels), labels > 0)), is_overlay=True)


def list_classes(labels: np.ndarray) -> str:
    """The object classes in a label map (H, W), separated by commas."""
    return ", ".join(_object_classes(labels)) or "background only"


def name_errors(true_labels: np.ndarray, predicted_labels: np.ndarray) -> list[str]:
    """The kinds of error that cover at least MIN_ERROR_FRACTION of the object pixels.

    An object pixel is not void, and an object in the ground truth or in the prediction. Both label maps are (H, W).
    """
    objects = (true_labels != IGNORE) & ((true_labels > 0) | (predicted_labels > 0))
    min_pixels = MIN_ERROR_FRACTION * max(int(objects.sum()), 1)
    errors = error_masks(true_labels, predicted_labels)
    return [name for name, mask in errors.items() if mask.sum() >= min_pixels] or ["mostly correct"]


def _layers(true_labels: np.ndarray, predicted_labels: np.ndarray) -> list[Layer]:
    colors = error_map(true_labels, predicted_labels)
    is_colored = (colors != np.array(ERROR_COLORS["correct"], np.uint8)).any(2)
    return [
        labels_layer("prediction", predicted_labels),
        labels_layer("ground truth", true_labels),
        Layer("errors", layer_url(_rgba(colors, is_colored)), is_overlay=True),
    ]


def _rgba(colors: np.ndarray, opaque: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 and (H, W) bool to (H, W, 4) uint8; pixels that are not opaque are transparent."""
    return np.dstack([colors, np.where(opaque, 255, 0).astype(np.uint8)])


def _object_classes(*label_maps: np.ndarray) -> list[str]:
    labels = sorted({int(label) for labels in label_maps for label in np.unique(labels)} - {0, IGNORE})
    return [SEG_CLASSES[label] for label in labels]
