"""The competition's Dice of one photo's segmentation.

Source: the H02A5a competition. The (20, H, W) boolean stack of the foreground classes is one set of pixels-with-class; its
Dice is 2 |X n Y| / (|X| + |Y|), and the score is the mean over photos. Void counts as background, so a foreground
prediction on an object's border is a false positive. Both sets empty: 1 by the usual convention; one of them empty: 0.
"""

import numpy as np

from vocctl.labels import IGNORE


def competition_dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Dice of one photo, in [0, 1]. predicted, truth: (H, W) label maps."""
    foreground = (truth != 0) & (truth != IGNORE)
    shared = np.count_nonzero((predicted == truth) & foreground)
    total = np.count_nonzero(predicted) + np.count_nonzero(foreground)
    return 2 * shared / total if total else 1.0
