"""How an attack changed predictions.

Classifier: label sets (N, K) bool before and after the attack. Segmenter: label maps (H, W) of one image before and after.
A pair of image and class, or a pixel, whose ground truth is IGNORE is left out. Undefined rates are nan.
"""

from dataclasses import dataclass

import numpy as np

from vocctl.labels import IGNORE


@dataclass(frozen=True)
class LabelFlips:
    """Fractions in [0, 1]."""

    label_flip_rate: float  # of the pairs of image and class: those whose prediction changed
    prediction_change_rate: float  # of the images: those whose label set changed
    fooling_rate: float  # of the images whose label set was correct before: those whose label set changed
    flip_rate_by_class: np.ndarray  # (K,) of the images: those whose prediction of the class changed


def label_flips(before: np.ndarray, after: np.ndarray, targets: np.ndarray) -> LabelFlips:
    """before, after: (N, K) bool. targets: (N, K), 1 present, 0 absent or IGNORE."""
    keep = targets != IGNORE
    flipped = (before != after) & keep
    correct_before = (((before == (targets == 1)) | ~keep).all(1)).astype(bool)
    changed = flipped.any(1)
    num_images = keep.sum(0)  # (K,)
    with np.errstate(invalid="ignore"):
        flip_rate_by_class = np.where(num_images > 0, flipped.sum(0) / np.maximum(num_images, 1), np.nan)
    return LabelFlips(
        label_flip_rate=float(flipped.sum() / max(keep.sum(), 1)),
        prediction_change_rate=float(changed.mean()),
        fooling_rate=float(changed[correct_before].mean()) if correct_before.any() else float("nan"),
        flip_rate_by_class=flip_rate_by_class,
    )


@dataclass(frozen=True)
class PixelFlips:
    """Numbers of pixels of one image; add them up over images."""

    labeled: int
    changed: int  # labeled pixels whose predicted class changed
    correct_before: int
    fooled: int  # pixels that were correct before and are wrong after


def pixel_flips(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> PixelFlips:
    """before, after: (H, W) predicted classes. mask: (H, W) ground truth."""
    keep = mask != IGNORE
    correct_before = (before == mask) & keep
    return PixelFlips(
        labeled=int(keep.sum()),
        changed=int(((before != after) & keep).sum()),
        correct_before=int(correct_before.sum()),
        fooled=int((correct_before & (after != mask)).sum()),
    )


def binary_cross_entropy(probs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N,) mean of -log p(target) over each image's classes. It compares attacks on a classifier.

    probs: (N, K). targets: (N, K), 1, 0 or IGNORE. An image without a target has 0.
    """
    keep = targets != IGNORE
    target_probs = np.where(targets == 1, probs, 1 - probs).clip(1e-12)
    return -(np.log(target_probs) * keep).sum(1) / np.maximum(keep.sum(1), 1)
