"""Wraps a model for attacks: it takes images of any size, resizes them differentiably, and returns logits at their size.

The data cache resizes 8-bit images and rounds the result (data/resize.py). Here the resize runs in the run's precision and
without rounding, so that gradients pass; in bf16 a pixel differs from the cache by 0.2 steps of 1 / 255 on average. Scores
of adversarial images use the cache's resize, so the small difference never changes a score.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.devices import autocast
from vocctl.resizing import area_weights, averages_areas, model_input_size


def resize_differentiable(images: Tensor, size: int) -> Tensor:
    """Resize images (B, 3, H, W) to model_input_size, as resize_to_model does, but differentiably.

    averages_areas decides between averages over areas and bilinear interpolation, here as there.
    """
    image_size = (int(images.shape[-2]), int(images.shape[-1]))
    input_size = model_input_size(*image_size, size)
    if input_size == image_size:
        return images
    if averages_areas(image_size, input_size):
        row_weights, column_weights = (
            _area_weights_on(images.device, source, target)
            for source, target in zip(image_size, input_size, strict=True)
        )
        return row_weights @ images @ column_weights.T
    return F.interpolate(images, size=input_size, mode="bilinear", align_corners=False)


@lru_cache(maxsize=64)
def _area_weights_on(device: torch.device, source: int, target: int) -> Tensor:
    with torch.inference_mode(False):  # cached: a tensor made in inference mode could not be used with gradients later
        return torch.from_numpy(area_weights(source, target)).to(device)


class ResizeWrapper(nn.Module):
    """Images (B, 3, H, W) in [0, 1] of any size to logits: (B, K) of a classifier, (B, K, H, W) of a segmenter.

    model: images of the model's input size to logits; set to evaluation mode, its weights are frozen. size: the run's --size
    in pixels. precision: fp32, bf16 or fp16.
    """

    def __init__(self, model: nn.Module, size: int, precision: str) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.size, self.precision = size, precision

    def forward(self, images: Tensor) -> Tensor:
        with autocast(images.device, self.precision):
            logits = self.model(self.resize(images))
        return _upsample_to_images(logits.float(), images)

    def resize(self, images: Tensor) -> Tensor:
        return resize_differentiable(images, self.size).contiguous(memory_format=torch.channels_last)

    def features(self, images: Tensor) -> Tensor:
        """The deepest features of the model's encoder: (B, D, h, w), or (B, N, D) for N tokens of a transformer."""
        with autocast(images.device, self.precision):
            features: Tensor = self.model.features(self.resize(images))  # type: ignore[operator]
        return features.float()

    def forward_with_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The results of forward and of features, from one forward pass."""
        with autocast(images.device, self.precision):
            logits, features = self.model.forward_with_features(self.resize(images))  # type: ignore[operator]
        return _upsample_to_images(logits.float(), images), features.float()


def _upsample_to_images(logits: Tensor, images: Tensor) -> Tensor:
    """Bring a segmenter's logits to the size of the images; a classifier's logits (B, K) stay unchanged."""
    if logits.ndim == 4 and logits.shape[-2:] != images.shape[-2:]:
        return F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False)
    return logits


class LogitEnsemble(nn.Module):
    """Several models of one task as one model, whose probabilities are the mean of theirs."""

    def __init__(self, models: Sequence[ResizeWrapper]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)

    def forward(self, images: Tensor) -> Tensor:
        return _logits_of_mean_probs(torch.stack([model(images) for model in self.models]))

    def features(self, images: Tensor) -> Tensor:
        """(B, sum of all models' features): flattened and concatenated."""
        return torch.cat([model.features(images).flatten(1) for model in self.models], 1)  # type: ignore[operator]

    def forward_with_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        outputs = [model.forward_with_features(images) for model in self.models]  # type: ignore[operator]
        logits = torch.stack([logits for logits, _ in outputs])
        return _logits_of_mean_probs(logits), torch.cat([features.flatten(1) for _, features in outputs], 1)


def _logits_of_mean_probs(logits: Tensor) -> Tensor:
    """Logits whose probabilities are the mean of M models' probabilities.

    logits: (M, B, K) of classifiers, whose K classes are independent (sigmoid); (M, B, K, H, W) of segmenters (softmax).
    """
    if len(logits) == 1:
        return logits[0]
    if logits.ndim == 3:  # log(p / (1 - p)) of the mean probability p; the factors 1 / M cancel
        return F.logsigmoid(logits).logsumexp(0) - F.logsigmoid(-logits).logsumexp(0)
    return logits.log_softmax(2).logsumexp(0)  # log of the mean probability, plus log M, which softmax ignores
