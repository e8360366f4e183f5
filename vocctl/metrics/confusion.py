"""Scores of a segmenter from ONE confusion matrix over all pixels of all images.

Source: Everingham et al., "The PASCAL VOC Challenge: A Retrospective", IJCV 2015, and FACTS of the devkit: pixels whose
truth is 255 (void) are left out. Rows are the truth, columns the prediction.

Absent classes: a class with neither truth nor prediction is undefined (nan, shown as -). A class without truth is left
out of every mean, whether or not it was predicted, and `absent` names it.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from vocctl.errors import DataError
from vocctl.labels import IGNORE, NUM_SEG_CLASSES, SEG_CLASSES

EXACT = 2**24  # pixels that OpenCV's float32 counts hold exactly


def confusion_matrix(predicted: Tensor, truth: Tensor, classes: int = NUM_SEG_CLASSES) -> Tensor:
    """(K, K) int64 counts. predicted, truth: label maps of one shape; truth IGNORE is left out."""
    return confusion_and_void(predicted, truth, classes)[0]


def confusion_and_void(predicted: Tensor, truth: Tensor, classes: int = NUM_SEG_CLASSES) -> tuple[Tensor, Tensor]:
    """The confusion matrix, and (K,) what was predicted where the truth is IGNORE."""
    shown = [one.to("cpu", torch.uint8).reshape(1, -1).numpy() for one in (truth, predicted)]
    counts = np.zeros((IGNORE + 1, classes), np.int64)
    for start in range(0, truth.numel(), EXACT):
        part = [one[:, start : start + EXACT] for one in shown]
        counts += cv2.calcHist(part, [0, 1], None, list(counts.shape), [0, IGNORE + 1, 0, classes]).astype(np.int64)
    return torch.from_numpy(counts[:classes]), torch.from_numpy(counts[IGNORE])


def iou_per_class(confusion: Tensor) -> Tensor:
    """TP / (TP + FP + FN), (..., K) float64 of (..., K, K); nan where a class has neither truth nor prediction."""
    hits = confusion.diagonal(dim1=-2, dim2=-1).double()
    return hits / (confusion.sum(-2) + confusion.sum(-1) - hits)


def dice_per_class(confusion: Tensor) -> Tensor:
    """2 TP / (2 TP + FP + FN), (K,) float64; nan where a class has neither truth nor prediction."""
    return 2 * confusion.diag().double() / (confusion.sum(0) + confusion.sum(1))


def mean_present(values: Tensor, confusion: Tensor) -> float:
    """Mean of a score over the classes that the truth holds. Raises DataError where it holds none."""
    present = confusion.sum(1) > 0
    if not present.any():
        raise DataError("no labeled pixel in the truth: the mean over its classes is not defined")
    return values[present].mean().item()


def pixel_accuracy(confusion: Tensor) -> float:
    """Share of the labeled pixels that are right. Raises DataError where there are none."""
    total = confusion.sum().item()
    if total == 0:
        raise DataError("no labeled pixel in the truth: pixel accuracy is not defined")
    return confusion.diag().sum().item() / total


@dataclass(frozen=True)
class SegScores:
    """All that one confusion matrix says; shares in [0, 1]."""

    mean_iou: float
    mean_dice: float
    pixel_accuracy: float
    iou: dict[str, float]  # by class name; nan: neither truth nor prediction
    dice: dict[str, float]
    absent: tuple[str, ...]  # classes without truth, left out of the means


def seg_scores(confusion: Tensor) -> SegScores:
    """Scores of the 21 VOC classes. confusion: (21, 21). Raises DataError where no pixel is labeled."""
    iou, dice = iou_per_class(confusion), dice_per_class(confusion)
    present = confusion.sum(1) > 0
    return SegScores(
        mean_iou=mean_present(iou, confusion),
        mean_dice=mean_present(dice, confusion),
        pixel_accuracy=pixel_accuracy(confusion),
        iou=dict(zip(SEG_CLASSES, iou.tolist(), strict=True)),
        dice=dict(zip(SEG_CLASSES, dice.tolist(), strict=True)),
        absent=tuple(name for name, here in zip(SEG_CLASSES, present.tolist(), strict=True) if not here),
    )


def image_mean_iou(confusions: Tensor) -> Tensor:
    """(N,) of (N, K, K): each image's mean IoU over the classes in its truth or prediction; nan where no pixel is labeled.

    For picking the best and worst images; not VOC's score.
    """
    return torch.nanmean(iou_per_class(confusions), dim=-1)
