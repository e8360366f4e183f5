"""Test-time augmentation: the mean of a model's probabilities over several views of a batch of images."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from vocctl.resizing import STRIDE

SCALES = {"none": (1.0,), "flip": (1.0,), "ms": (0.75, 1.0, 1.25)}  # of the model's input size


def views(images: Tensor, tta: str) -> Iterator[tuple[Tensor, bool]]:
    """Yield (view (B, 3, h, w), whether it is mirrored). images: (B, 3, H, W) in [0, 1].

    tta: none: the images; flip: the mirrored images too; ms: three scales, each mirrored too.
    """
    for scale in SCALES[tta]:
        sides = [max(round(side * scale / STRIDE) * STRIDE, STRIDE) for side in images.shape[-2:]]
        view = images if scale == 1 else F.interpolate(images, size=sides, mode="bilinear", antialias=True)
        yield view, False
        if tta != "none":
            yield view.flip(-1), True


def averaged_probs(forward: Callable[[Tensor], Tensor], images: Tensor, tta: str) -> Tensor:
    """Mean class probabilities (B, K, H, W) of a segmenter.

    forward: images (B, 3, h, w) in [0, 1] to logits (B, K, h, w).
    """
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
    """Mean label probabilities (B, K) of a classifier. forward: images (B, 3, h, w) in [0, 1] to logits (B, K)."""
    probs = [forward(view).float().sigmoid() for view, _ in views(images, tta)]
    return torch.stack(probs).mean(dim=0)
