"""Cut images with several labels each into parts that hold every class in proportion.

Source: Sechidis et al., "On the stratification of multi-label data", ECML 2011, iterative stratification: the rarest label
is dealt out first, each image to the part that lacks it most.
"""

import numpy as np


def stratified_parts(targets: np.ndarray, shares: tuple[float, ...], generator: np.random.Generator) -> np.ndarray:
    """The part of each image, (N,) int. targets: (N, K), 1 where the class is present. shares: of each part, summing to 1.

    A class with at least as many images as there are parts is in every part where its images' other labels allow it.
    """
    present = targets == 1
    images = len(present)
    fractions = np.array(shares)
    room = fractions * images  # images that each part still takes
    wanted = fractions[:, None] * present.sum(0)[None]  # (parts, K): images of a class that each part still takes
    part = np.full(images, -1)
    while (part < 0).any():
        left = np.where((part < 0)[:, None], present, False).sum(0)
        label = int(np.where(left > 0, left, images + 1).argmin()) if left.any() else -1
        waiting = np.flatnonzero((part < 0) & (present[:, label] if left.any() else True))
        for image in generator.permutation(waiting):
            need = wanted[:, label] if label >= 0 else room
            best = np.flatnonzero(need == need.max())
            if len(best) > 1:
                best = best[room[best] == room[best].max()]
            chosen = int(generator.choice(best))
            part[image] = chosen
            room[chosen] -= 1
            wanted[chosen, present[image]] -= 1
    return part
