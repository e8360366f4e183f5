"""The learning rate as a pure function of progress, so that a resumed run has it without remembering it.

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
