"""One seed for all random generators, and derived seeds for what is drawn per epoch or per sample.

A derived seed depends only on its words, not on earlier draws, so that a resumed run draws the same numbers as one that
was never interrupted.
"""

import hashlib
import random

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, numpy and torch, which libraries use (dropout, weight initialization)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # on every device


def derived_seed(*words: int | str) -> int:
    """Return a seed in [0, 2^63) that is a function of the words."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def derived_generator(*words: int | str) -> torch.Generator:
    """Return a CPU generator seeded with `derived_seed`."""
    return torch.Generator().manual_seed(derived_seed(*words))
