"""A model as an attack sees it: images at their own size in, logits out, with the resize between differentiable.

What the cache does with whole numbers (data/cache.py) is done here in the run's precision: the gradient is that of the
resize without its rounding; in bf16 a pixel is off by a fifth of a level on average. Adversarial images are scored through
the cache's own resize, so the two never need to agree to the last bit.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.devices import autocast
from vocctl.resizing import area_weights, model_input_size


def resize_differentiable(images: Tensor, size: int) -> Tensor:
    """images (B, 3, H, W) as a model of this size sees them: averaged down by area, or interpolated up."""
    own = (int(images.shape[-2]), int(images.shape[-1]))
    fitted = model_input_size(*own, size)
    if fitted == own:
        return images
    if fitted[0] < own[0] and fitted[1] <= own[1]:
        rows, columns = (_weights_on(images.device, source, target) for source, target in zip(own, fitted, strict=True))
        return rows @ images @ columns.T
    return F.interpolate(images, size=fitted, mode="bilinear", align_corners=False)


@lru_cache(maxsize=64)
def _weights_on(device: torch.device, source: int, target: int) -> Tensor:
    with torch.inference_mode(False):  # kept, so that a later step may take gradients through them
        return torch.from_numpy(area_weights(source, target)).to(device)


class ResizeWrapper(nn.Module):
    """images (B, 3, H, W) in [0, 1], any size, to logits: (B, K) of a classifier, (B, K, H, W) of a segmenter.

    model: pixels at its own size to logits, left in evaluation mode with frozen weights.
    """

    def __init__(self, model: nn.Module, size: int, precision: str) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.size, self.precision = size, precision

    def forward(self, images: Tensor) -> Tensor:
        with autocast(images.device, self.precision):
            logits = self.model(self.seen(images))
        return _sized(logits.float(), images)

    def seen(self, images: Tensor) -> Tensor:
        return resize_differentiable(images, self.size).contiguous(memory_format=torch.channels_last)

    def features(self, images: Tensor) -> Tensor:
        """The deepest features that the model's encoder has of these images, (B, D, h, w) or (B, N, D)."""
        with autocast(images.device, self.precision):
            deepest: Tensor = self.model.features(self.seen(images))  # type: ignore[operator]
        return deepest.float()

    def forward_with_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What forward gives, and features, in one pass."""
        with autocast(images.device, self.precision):
            logits, deepest = self.model.forward_with_features(self.seen(images))  # type: ignore[operator]
        return _sized(logits.float(), images), deepest.float()


def _sized(logits: Tensor, images: Tensor) -> Tensor:
    if logits.ndim == 4 and logits.shape[-2:] != images.shape[-2:]:
        return F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False)
    return logits


class LogitEnsemble(nn.Module):
    """Several models of one task as one: logits whose probabilities are the mean of theirs."""

    def __init__(self, models: Sequence[ResizeWrapper]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)

    def forward(self, images: Tensor) -> Tensor:
        return _mean_probs(torch.stack([model(images) for model in self.models]))

    def features(self, images: Tensor) -> Tensor:
        return torch.cat([model.features(images).flatten(1) for model in self.models], 1)  # type: ignore[operator]

    def forward_with_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        each = [model.forward_with_features(images) for model in self.models]  # type: ignore[operator]
        return _mean_probs(torch.stack([one for one, _ in each])), torch.cat([one.flatten(1) for _, one in each], 1)


def _mean_probs(logits: Tensor) -> Tensor:
    """Logits of the mean probabilities of several models' logits, (M, B, K) or (M, B, K, H, W)."""
    if len(logits) == 1:
        return logits[0]
    if logits.ndim == 3:  # labels that don't exclude each other: the log odds of the mean probability
        return F.logsigmoid(logits).logsumexp(0) - F.logsigmoid(-logits).logsumexp(0)
    return logits.log_softmax(2).logsumexp(0)
