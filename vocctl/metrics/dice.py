"""The competition's Dice of one image's segmentation.

Source: the H02A5a competition. The (20, H, W) boolean stack of the foreground classes is one set of pixels-with-class; its
Dice is 2 |X n Y| / (|X| + |Y|), and the score is the mean over images. Void counts as background, so a foreground
prediction on an object's border is a false positive. Both sets empty: 1 by the usual convention; one of them empty: 0.
"""

import numpy as np
import torch
from torch import Tensor

from vocctl.metrics.confusion import confusion_and_void


def competition_dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Dice of one image, in [0, 1]. predicted, truth: (H, W) label maps."""
    return dice_of_counts(*confusion_and_void(torch.from_numpy(predicted.copy()), torch.from_numpy(truth.copy())))


def dice_of_counts(confusion: Tensor, void: Tensor) -> float:
    """The same from confusion_and_void's counts: (K, K), and (K,) predictions where the truth is void."""
    counts = confusion.numpy()
    shared = counts.trace() - counts[0, 0]
    total = counts[:, 1:].sum() + void.numpy()[1:].sum() + counts[1:].sum()
    return float(2 * shared / total) if total else 1.0
