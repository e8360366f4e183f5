"""Ensembles: the mean of several models' probabilities."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from vocctl.data.cache import CachedSplit
from vocctl.devices import to_pixels
from vocctl.inference.predict import forward_of, resize_probs
from vocctl.inference.tta import averaged_probs

Probs = TypeVar("Probs", Tensor, np.ndarray)


def mean_probs(probs: Sequence[Probs]) -> Probs:
    """Mean over the models, one array of any shape each: added in their order and dtype, then divided."""
    return reduce(add, probs) / len(probs)


@dataclass(frozen=True)
class EnsembleMember:
    """A segmenter, and the images at its input size. All members of an ensemble have the same images in the same order."""

    model: nn.Module
    images: CachedSplit
    device: torch.device
    precision: str


def ensemble_probs(
    members: Sequence[EnsembleMember], *, tta: str, on_image: Callable[[int, int], None] | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Yield (image index, mean probabilities (K, H, W) float32 on the CPU) at the images' original sizes, in their order.

    on_image: called with (finished images, all images).
    """
    forwards = [forward_of(member.model, member.device, member.precision) for member in members]
    count = len(members[0].images)
    for index in range(count):
        size = members[0].images.original_sizes[index]
        probs = mean_probs([_member_probs(*pair, index, size, tta) for pair in zip(members, forwards, strict=True)])
        if on_image:
            on_image(index + 1, count)
        yield index, probs


@torch.inference_mode()
def _member_probs(
    member: EnsembleMember, forward: Callable[[Tensor], Tensor], index: int, size: tuple[int, int], tta: str
) -> Tensor:
    """(K, H, W) float32 on the CPU, of one member and image. size: (H, W)."""
    image = torch.from_numpy(np.array(member.images.image(index))).permute(2, 0, 1)[None]
    probs = averaged_probs(forward, to_pixels(image, member.device), tta)
    return resize_probs(probs[0], size).float().cpu()
