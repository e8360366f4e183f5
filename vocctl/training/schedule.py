"""The learning rate and the crops' side as a pure function of progress, so that a resumed run has them without remembering.

Progress is the share of the run that is done: of its steps, or of its time with --minutes.
"""

import math

from vocctl.config import OptimConfig

POLY_POWER = 0.9  # as in DeepLab, arXiv 1606.00915


def lr_factor(progress: float, config: OptimConfig) -> float:
    """What to multiply the peak rate by, in [0, 1]. progress: in [0, 1]; a linear warm-up comes first."""
    progress = min(max(progress, 0.0), 1.0)
    if progress < config.warmup:
        return max(progress / config.warmup, 0.01)
    past = (progress - config.warmup) / (1 - config.warmup)
    if config.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * past))
    if config.schedule == "poly":
        return (1 - past) ** POLY_POWER
    return 1.0


def crop_side(progress: float, size: int, size_from: int, step: int = 32) -> int:
    """Side of the crops: size_from at first, size at last, each multiple of 32 between for the same share of the run.

    Small crops first cost less and lose little. Source: progressive resizing, as in Howard et al., DAWNBench 2018.
    """
    if not 0 < size_from < size:
        return size
    stages = (size - size_from) // step + 1
    return min(size_from + step * int(stages * progress), size)
