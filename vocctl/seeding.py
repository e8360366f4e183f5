"""One seed into every generator in use, and seeds of their own for what is drawn per epoch or per sample.

A derived seed depends on its words alone, never on what was drawn before: so a resumed run draws what the run that was
left alone draws.
"""

import hashlib
import random

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Python's, numpy's and torch's global generators, for libraries that reach for them (dropout, weight init)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # every device


def derived_seed(*words: int | str) -> int:
    """A seed in [0, 2^63) that these words alone decide."""
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def derived_generator(*words: int | str) -> torch.Generator:
    """A CPU generator seeded with `derived_seed`."""
    return torch.Generator().manual_seed(derived_seed(*words))
