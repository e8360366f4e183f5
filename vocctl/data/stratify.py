"""Divide images with several labels each into parts that have every class in proportion.

Source: Sechidis et al., "On the stratification of multi-label data", ECML 2011: iterative stratification. The images of the
rarest label are assigned first, each to the part that needs it most.
"""

import numpy as np


def stratified_parts(targets: np.ndarray, fractions: tuple[float, ...], generator: np.random.Generator) -> np.ndarray:
    """(N,) int: the index of each image's part.

    targets: (N, K), 1 where the class is present. fractions: of the images in each part; they sum to 1. A class with at
    least as many images as there are parts is in every part, unless the other labels of its images prevent it.
    """
    present = targets == 1
    num_images = len(present)
    sizes = np.array(fractions)
    free = sizes * num_images  # images that each part still needs
    needed = sizes[:, None] * present.sum(0)[None]  # (parts, K): images of each class that each part still needs
    part_of = np.full(num_images, -1)
    while (part_of < 0).any():
        remaining = np.where((part_of < 0)[:, None], present, False).sum(0)  # (K,) unassigned images of each class
        label = int(np.where(remaining > 0, remaining, num_images + 1).argmin()) if remaining.any() else -1
        unassigned = np.flatnonzero((part_of < 0) & (present[:, label] if remaining.any() else True))
        for image in generator.permutation(unassigned):
            need = needed[:, label] if label >= 0 else free
            best = np.flatnonzero(need == need.max())
            if len(best) > 1:
                best = best[free[best] == free[best].max()]
            part = int(generator.choice(best))
            part_of[image] = part
            free[part] -= 1
            needed[part, present[image]] -= 1
    return part_of
