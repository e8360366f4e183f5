"""Several segmenters as one: their probabilities at each image's own size, averaged. One is the simplest case."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.data.cache import CachedSplit
from vocctl.devices import to_pixels
from vocctl.inference.predict import forward_of
from vocctl.inference.tta import averaged_probs


@dataclass(frozen=True)
class EnsembleMember:
    """A segmenter, and the images at the size that it was trained for: the same ones in the same order for all members."""

    model: nn.Module
    images: CachedSplit
    device: torch.device
    precision: str


def ensemble_probs(
    members: Sequence[EnsembleMember], *, tta: str, on_image: Callable[[int, int], None] | None = None
) -> Iterator[tuple[int, Tensor]]:
    """(index, probabilities (K, H, W) float32 on the CPU), a image at a time and in order."""
    forwards = [forward_of(member.model, member.device, member.precision) for member in members]
    count = len(members[0].images)
    for index in range(count):
        own = members[0].images.original_sizes[index]
        total = torch.zeros(())
        for member, forward in zip(members, forwards, strict=True):
            total = total + _one(member, forward, index, own, tta)
        if on_image:
            on_image(index + 1, count)
        yield index, total / len(members)


@torch.inference_mode()
def _one(
    member: EnsembleMember, forward: Callable[[Tensor], Tensor], index: int, own: tuple[int, int], tta: str
) -> Tensor:
    image = torch.from_numpy(np.array(member.images.image(index))).permute(2, 0, 1)[None]
    probs = averaged_probs(forward, to_pixels(image, member.device), tta)
    if tuple(probs.shape[-2:]) != tuple(own):
        probs = F.interpolate(probs, size=own, mode="bilinear", align_corners=False)
    return probs[0].float().cpu()
