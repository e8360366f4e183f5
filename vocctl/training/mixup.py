"""Mixup and CutMix of multi-label images: each image of a batch is mixed with its neighbor, and so are their targets.

Sources: Zhang et al., "mixup", arXiv 1710.09412; Yun et al., "CutMix", arXiv 1905.04899. As in timm's Mixup, a batch has one
lambda and one box, and if both are on, each batch is mixed by one of them, with equal probability. timm's own class can't be
used: it draws from numpy's global generator, whose state is not part of a checkpoint, and would mix ignored labels. Here
random numbers derive from torch's global generator, so that a resumed run continues with the same ones.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from vocctl.config import TrainClsConfig
from vocctl.distributed import rank, world_size
from vocctl.errors import ConfigError
from vocctl.labels import IGNORE

MixBatch = Callable[
    [Tensor, Tensor], tuple[Tensor, Tensor]
]  # images and targets of a batch to those of the mixed batch


def batch_mixing(config: TrainClsConfig) -> MixBatch:
    """The function that mixes each batch before the training step; without --mixup and --cutmix it changes nothing.

    It takes images (B, 3, H, W) and targets (B, K), 0, 1 or IGNORE, and returns float32 targets in [0, 1] or IGNORE.
    Raises ConfigError: a process has one image per batch, which has no neighbor.
    """
    mixup, cutmix = config.data.mixup, config.data.cutmix
    if not config.data.mixes:
        return lambda images, targets: (images, targets)
    if config.train.batch // world_size() < 2:
        raise ConfigError(
            f"--mixup and --cutmix mix the images of a batch: use --batch {2 * world_size()} or more, 2 per process"
        )

    def mix_batch(images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        # every process draws a seed, so that all global generators stay in the same state
        generator = np.random.default_rng(int(torch.randint(2**62, ()).item()) + rank())
        if not mixup or (cutmix and generator.random() < 0.5):
            images, weight = cutmix_images(images, generator.beta(cutmix, cutmix), generator)
        else:
            weight = generator.beta(mixup, mixup)
            images = torch.lerp(_neighbors(images), images, weight)
        return images.contiguous(memory_format=torch.channels_last), mix_targets(targets, weight)

    return mix_batch


def cutmix_images(images: Tensor, weight: float, generator: np.random.Generator) -> tuple[Tensor, float]:
    """Paste a random box of each image's neighbor; return the images and the fraction of the pixels that stayed.

    weight: lambda of the paper, the fraction of an uncut box, whose sides are sqrt(1 - weight) of the image's. Its center is
    uniform over the image, so that a part of it may lie outside.
    """
    height, width = images.shape[-2:]
    box_height, box_width = (int(side * (1 - weight) ** 0.5) for side in (height, width))
    top = int(generator.integers(height)) - box_height // 2
    left = int(generator.integers(width)) - box_width // 2
    rows = slice(max(top, 0), min(top + box_height, height))
    columns = slice(max(left, 0), min(left + box_width, width))
    mixed = images.clone()
    mixed[..., rows, columns] = _neighbors(images)[..., rows, columns]
    pasted = (rows.stop - rows.start) * (columns.stop - columns.start)
    return mixed, 1 - pasted / (height * width)


def mix_targets(targets: Tensor, weight: float) -> Tensor:
    """weight * targets + (1 - weight) * those of the neighbors; IGNORE where one of the two is ignored."""
    neighbors = _neighbors(targets)
    mixed = torch.lerp(neighbors.float(), targets.float(), weight)
    return mixed.where((targets != IGNORE) & (neighbors != IGNORE), IGNORE)


def _neighbors(batch: Tensor) -> Tensor:
    """The image or target before each one, in its place. Batches are shuffled: a neighbor is a random image."""
    return batch.roll(1, 0)
