"""Segmentation scores from one confusion matrix over all pixels of all images.

Source: Everingham et al., "The PASCAL VOC Challenge: A Retrospective", IJCV 2015, and the development kit: pixels whose
ground truth is 255 (void) are left out. Rows are the ground truth, columns the prediction.

Empty cases: a class in neither ground truth nor prediction is undefined, nan (printed as -). A class that is not in the
ground truth is left out of every mean, whether or not it is predicted, and listed in `absent`.

To add a metric, see metrics/table.py.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from vocctl.errors import DataError
from vocctl.labels import IGNORE, NUM_SEG_CLASSES, SEG_CLASSES

MAX_EXACT_COUNT = 2**24  # OpenCV counts in float32, which represents integers up to here


def confusion_matrix(predicted: Tensor, truth: Tensor, num_classes: int = NUM_SEG_CLASSES) -> Tensor:
    """Count pixels by class: (K, K) int64. predicted, truth: label maps of one shape; truth may contain IGNORE."""
    return confusion_and_void(predicted, truth, num_classes)[0]


def confusion_and_void(predicted: Tensor, truth: Tensor, num_classes: int = NUM_SEG_CLASSES) -> tuple[Tensor, Tensor]:
    """The confusion matrix (K, K), and the counts (K,) of the predictions on pixels whose ground truth is IGNORE."""
    maps = [labels.to("cpu", torch.uint8).reshape(1, -1).numpy() for labels in (truth, predicted)]
    counts = np.zeros((IGNORE + 1, num_classes), np.int64)
    for start in range(0, truth.numel(), MAX_EXACT_COUNT):
        part = [labels[:, start : start + MAX_EXACT_COUNT] for labels in maps]
        ranges = [0, IGNORE + 1, 0, num_classes]
        counts += cv2.calcHist(part, [0, 1], None, list(counts.shape), ranges).astype(np.int64)
    return torch.from_numpy(counts[:num_classes]), torch.from_numpy(counts[IGNORE])


def iou_per_class(confusion: Tensor) -> Tensor:
    """IoU = TP / (TP + FP + FN), (..., K) float64. confusion: (..., K, K).

    Empty case: nan for a class in neither ground truth nor prediction.
    """
    true_positives = confusion.diagonal(dim1=-2, dim2=-1).double()
    return true_positives / (confusion.sum(-2) + confusion.sum(-1) - true_positives)


def dice_per_class(confusion: Tensor) -> Tensor:
    """Dice = 2 TP / (2 TP + FP + FN), (K,) float64. confusion: (K, K).

    Empty case: nan for a class in neither ground truth nor prediction.
    """
    return 2 * confusion.diag().double() / (confusion.sum(0) + confusion.sum(1))


def mean_present(values: Tensor, confusion: Tensor) -> float:
    """Mean of per-class scores (K,) over the classes in the ground truth. Raises DataError if no pixel is labeled."""
    present = confusion.sum(1) > 0
    if not present.any():
        raise DataError("the ground truth has no labeled pixel: the mean over its classes is not defined")
    return values[present].mean().item()


def pixel_accuracy(confusion: Tensor) -> float:
    """Fraction of the labeled pixels whose class is correct. Raises DataError if no pixel is labeled."""
    total = confusion.sum().item()
    if total == 0:
        raise DataError("the ground truth has no labeled pixel: pixel accuracy is not defined")
    return confusion.diag().sum().item() / total


@dataclass(frozen=True)
class SegScores:
    """All scores from one confusion matrix, fractions in [0, 1]."""

    mean_iou: float
    mean_dice: float
    pixel_accuracy: float
    iou: dict[str, float]  # by class name; nan: in neither ground truth nor prediction
    dice: dict[str, float]
    absent: tuple[str, ...]  # classes that are not in the ground truth, left out of the means


def seg_scores(confusion: Tensor) -> SegScores:
    """Scores of the 21 VOC classes. confusion: (21, 21). Raises DataError if no pixel is labeled."""
    iou, dice = iou_per_class(confusion), dice_per_class(confusion)
    present = confusion.sum(1) > 0
    return SegScores(
        mean_iou=mean_present(iou, confusion),
        mean_dice=mean_present(dice, confusion),
        pixel_accuracy=pixel_accuracy(confusion),
        iou=dict(zip(SEG_CLASSES, iou.tolist(), strict=True)),
        dice=dict(zip(SEG_CLASSES, dice.tolist(), strict=True)),
        absent=tuple(name for name, is_present in zip(SEG_CLASSES, present.tolist(), strict=True) if not is_present),
    )


def image_mean_iou(confusions: Tensor) -> Tensor:
    """Each image's mean IoU over the classes in its ground truth or prediction, (N,). confusions: (N, K, K).

    It ranks the best and worst images; it is not VOC's score. Empty case: nan for an image without a labeled pixel.
    """
    return torch.nanmean(iou_per_class(confusions), dim=-1)
