"""Test-time augmentation: class probabilities of one batch, averaged over views of it."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

SCALES = {"none": (1.0,), "flip": (1.0,), "ms": (0.75, 1.0, 1.25)}
STRIDE = 32


def averaged_probs(forward: Callable[[Tensor], Tensor], images: Tensor, tta: str) -> Tensor:
    """(B, K, H, W) probabilities. tta: none, flip (the mirror image too), ms (both at three scales).

    forward: pixels (B, 3, h, w) in [0, 1] to logits of their size.
    """
    height, width = images.shape[-2:]
    total, views = torch.zeros((), device=images.device), 0
    for scale in SCALES[tta]:
        sides = [max(round(side * scale / STRIDE) * STRIDE, STRIDE) for side in (height, width)]
        view = images if scale == 1 else F.interpolate(images, size=sides, mode="bilinear", antialias=True)
        for mirrored in (False, True) if tta != "none" else (False,):
            probs = forward(view.flip(-1) if mirrored else view).float().softmax(dim=1)
            probs = probs.flip(-1) if mirrored else probs
            if probs.shape[-2:] != (height, width):
                probs = F.interpolate(probs, size=(height, width), mode="bilinear", align_corners=False)
            total, views = total + probs, views + 1
    return total / views
