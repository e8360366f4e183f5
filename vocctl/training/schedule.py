"""Learning-rate factor and crop size as functions of the progress, so that a resumed run needs no saved scheduler.

Progress is the completed fraction of the training, in [0, 1]: of its batches, or of its time with --minutes.
"""

import math

from vocctl.config import OptimConfig

POLY_POWER = 0.9  # as in DeepLab, arXiv 1606.00915
MIN_WARMUP_FACTOR = 0.01  # the first step trains too


def lr_factor(progress: float, config: OptimConfig) -> float:
    """Return the current learning rate as a fraction of the peak: linear warm-up, then the schedule of the config."""
    progress = min(max(progress, 0.0), 1.0)
    if progress < config.warmup:
        return max(progress / config.warmup, MIN_WARMUP_FACTOR)
    after_warmup = (progress - config.warmup) / (1 - config.warmup)
    if config.schedule == "cosine":
        return cosine(after_warmup)
    if config.schedule == "poly":
        return (1 - after_warmup) ** POLY_POWER
    return 1.0


def cosine(progress: float) -> float:
    """Half a period of the cosine: from 1 at progress 0 to 0 at 1."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def crop_side(progress: float, size: int, size_from: int, step: int = 32) -> int:
    """Return the side of the training crops in pixels: it grows from size_from to size in equally long stages.

    Progressive resizing: small crops cost less and lose little accuracy (fast.ai's DAWNBench entry, 2018). size_from: 0
    or at least size turns it off.
    """
    if not 0 < size_from < size:
        return size
    stages = (size - size_from) // step + 1
    return min(size_from + step * int(stages * progress), size)
