"""What an attack did to predictions: how many turned, how many of those that were right, and which attack did worst.

Classifier: decided labels (N, K) bool, before and after. Segmenter: label maps (H, W) of one image, before and after.
A pair of image and class, or a pixel, whose truth is IGNORE counts in nothing. Undefined shares are nan.
"""

from dataclasses import dataclass

import numpy as np

from vocctl.labels import IGNORE


@dataclass(frozen=True)
class LabelFlips:
    """Shares in [0, 1]."""

    flipped: float  # pairs of image and label whose decision turned
    changed: float  # images whose set of labels is another one: fooling against the clean prediction
    fooled: float  # of the images whose set was exactly right, those whose set no longer is
    by_class: np.ndarray  # (K,) images whose decision of the class turned


def label_flips(before: np.ndarray, after: np.ndarray, targets: np.ndarray) -> LabelFlips:
    """targets: (N, K), 1, 0 or IGNORE."""
    keep = targets != IGNORE
    turned = (before != after) & keep
    was_right = (((before == (targets == 1)) | ~keep).all(1)).astype(bool)
    changed = turned.any(1)
    kept_by_class = keep.sum(0)
    with np.errstate(invalid="ignore"):
        by_class = np.where(kept_by_class > 0, turned.sum(0) / np.maximum(kept_by_class, 1), np.nan)
    return LabelFlips(
        flipped=float(turned.sum() / max(keep.sum(), 1)),
        changed=float(changed.mean()),
        fooled=float(changed[was_right].mean()) if was_right.any() else float("nan"),
        by_class=by_class,
    )


@dataclass(frozen=True)
class PixelFlips:
    """Counts of one image, to be added up over images."""

    labeled: int
    changed: int  # predicted as another class than before
    right: int  # predicted right before
    fooled: int  # of those, predicted wrong now


def pixel_flips(before: np.ndarray, after: np.ndarray, truth: np.ndarray) -> PixelFlips:
    keep = truth != IGNORE
    right = (before == truth) & keep
    return PixelFlips(
        labeled=int(keep.sum()),
        changed=int(((before != after) & keep).sum()),
        right=int(right.sum()),
        fooled=int((right & (after != truth)).sum()),
    )


def binary_cross_entropy(probs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(N,) mean over a image's labels of -log p, by which the worst attack on a classifier is chosen."""
    keep = targets != IGNORE
    true = np.where(targets == 1, probs, 1 - probs).clip(1e-12)
    return -(np.log(true) * keep).sum(1) / np.maximum(keep.sum(1), 1)


def worst(damage: np.ndarray) -> np.ndarray:
    """(N,) the attack with the most damage for each image. damage: (attacks, N); of equals the first."""
    return damage.argmax(0)
