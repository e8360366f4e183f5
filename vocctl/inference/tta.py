"""Test-time augmentation: probabilities of one batch, averaged over views of it."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from vocctl.resizing import STRIDE

SCALES = {"none": (1.0,), "flip": (1.0,), "ms": (0.75, 1.0, 1.25)}


def views(images: Tensor, tta: str) -> Iterator[tuple[Tensor, bool]]:
    """(view (B, 3, h, w), whether it is mirrored). tta: none, flip (the mirror image too), ms (both at three scales)."""
    for scale in SCALES[tta]:
        sides = [max(round(side * scale / STRIDE) * STRIDE, STRIDE) for side in images.shape[-2:]]
        view = images if scale == 1 else F.interpolate(images, size=sides, mode="bilinear", antialias=True)
        yield view, False
        if tta != "none":
            yield view.flip(-1), True


def averaged_probs(forward: Callable[[Tensor], Tensor], images: Tensor, tta: str) -> Tensor:
    """(B, K, H, W) class probabilities. forward: pixels (B, 3, h, w) in [0, 1] to logits of their size."""
    size = images.shape[-2:]
    total, count = torch.zeros((), device=images.device), 0
    for view, mirrored in views(images, tta):
        probs = forward(view).float().softmax(dim=1)
        probs = probs.flip(-1) if mirrored else probs
        if probs.shape[-2:] != size:
            probs = F.interpolate(probs, size=size, mode="bilinear", align_corners=False)
        total, count = total + probs, count + 1
    return total / count


def averaged_label_probs(forward: Callable[[Tensor], Tensor], images: Tensor, tta: str) -> Tensor:
    """(B, K) probabilities of labels that don't exclude each other. forward: pixels to logits (B, K)."""
    probs = [forward(view).float().sigmoid() for view, _ in views(images, tta)]
    return torch.stack(probs).mean(dim=0)
