"""Dice of one image's segmentation, as the H02A5a competition scores it.

Definition: 2 |P and T| / (|P| + |T|), where P and T are the sets of (class, pixel) pairs of the 20 foreground classes in
the prediction and in the ground truth. The competition's score is the mean over the images. Void counts as background,
so that a foreground prediction on an object's border is a false positive.
Empty cases: both sets empty: 1; one of them empty: 0.
"""

import numpy as np
import torch
from torch import Tensor

from vocctl.metrics.confusion import confusion_and_void


def competition_dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Dice of one image, in [0, 1]. predicted, truth: label maps (H, W); truth may contain IGNORE (void)."""
    return dice_of_counts(*confusion_and_void(torch.from_numpy(predicted.copy()), torch.from_numpy(truth.copy())))


def dice_of_counts(confusion: Tensor, void: Tensor) -> float:
    """The same from the counts of confusion_and_void: confusion (K, K), void (K,)."""
    counts = confusion.numpy()
    intersection = counts.trace() - counts[0, 0]
    sizes = counts[:, 1:].sum() + void.numpy()[1:].sum() + counts[1:].sum()
    return float(2 * intersection / sizes) if sizes else 1.0
