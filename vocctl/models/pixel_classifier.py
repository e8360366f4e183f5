"""Pixel classifiers: a linear layer or a small MLP on each pixel's features, the concatenated feature maps of all strides.

The features of one pixel are those of every feature map at its position (by average pooling of finer maps, bilinear
interpolation of coarser ones), and the mean of the deepest map over the image as context ("hypercolumns": Hariharan et al.,
arXiv 1411.5752; reading finer maps beside the deepest one is what skip connections do: Long et al., arXiv 1411.4038). They are
standardized by the mean and standard deviation over the training pixels, which are buffers. The logits have the stride of the
feature map nearest to stride 8; Segmenter upsamples them bilinearly.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 8
HIDDEN = 256  # width of the MLP's hidden layer
DROPOUT = 0.5  # of the hidden layer
MIN_STD = 1e-4  # a feature that varies less is constant: it is not divided


class PixelClassifier(nn.Module):
    """Maps feature maps [(B, C, h, w), ...], finest first, to logits (B, K, h, w).

    channels, strides: of the feature maps. hidden: width of the hidden layer; 0: a linear classifier. skip: True: all
    maps are read. False: the deepest one and its mean alone.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, channels: Sequence[int], strides: Sequence[int], num_classes: int, *, hidden: int, skip: bool
    ) -> None:
        super().__init__()
        self.levels = slice(None) if skip else slice(-1, None)
        self.channels, self.strides = tuple(channels[self.levels]), tuple(strides[self.levels])
        self.grid_level = min(range(len(self.strides)), key=lambda level: abs(self.strides[level] - STRIDE))
        self.num_features = sum(self.channels) + self.channels[-1]
        self.register_buffer("mean", torch.zeros(self.num_features))
        self.register_buffer("std", torch.ones(self.num_features))
        layers: list[nn.Module] = []
        if hidden:
            layers = [nn.Linear(self.num_features, hidden), nn.ReLU(inplace=True), nn.Dropout(DROPOUT)]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden or self.num_features, num_classes))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """As classify, but the first layer is applied to each map before it is interpolated: both are linear, so their order
        does not matter, and a coarse map has few pixels.
        """
        maps = [level.float() for level in maps[self.levels]]
        parts = [*self.channels, self.channels[-1]]
        *means, context_mean = self.mean.split(parts)
        *weights, context_weight = self._first_weight().split(parts, dim=1)
        size = maps[self.grid_level].shape[-2:]
        outputs = F.linear(maps[-1].mean((2, 3)) - context_mean, context_weight, self._first.bias)[:, :, None, None]
        for level, stride, mean, weight in zip(maps, self.strides, means, weights, strict=True):
            pooled = pool_to_stride(level, stride, self.strides[self.grid_level]) - mean[:, None, None]
            outputs = outputs + interpolate(F.conv2d(pooled, weight[:, :, None, None]), size)
        return self._later_layers(outputs.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def classify(self, features: Tensor) -> Tensor:
        """Logits (..., K) of pixels with these features (..., D).

        There may be more features than this classifier reads: without skips it reads the last ones, those of the deepest
        map and its mean.
        """
        centered = features[..., -self.num_features :].float() - self.mean
        return self._later_layers(F.linear(centered, self._first_weight(), self._first.bias))

    @property
    def _first(self) -> nn.Linear:
        first = self.layers[0]
        assert isinstance(first, nn.Linear)
        return first

    def _first_weight(self) -> Tensor:
        """The first layer's weight for features that are centered, in fp32 before autocast rounds them, but not divided."""
        return self._first.weight / self.std

    def _later_layers(self, outputs: Tensor) -> Tensor:
        """outputs: (..., C) of the first layer."""
        for layer in list(self.layers)[1:]:
            outputs = layer(outputs)
        return outputs

    @torch.no_grad()
    def standardize(self, mean: Tensor, std: Tensor) -> None:
        """Set the mean and the standard deviation of the features, (D,) each."""
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > MIN_STD, std, 1.0))


def pool_to_stride(level: Tensor, stride: int, larger: int) -> Tensor:
    """The average over windows of a map (B, C, h, w) of this stride, so that it gets the larger stride, a multiple of it."""
    return level if stride >= larger else F.avg_pool2d(level, larger // stride, ceil_mode=True)


def interpolate(level: Tensor, size: Sequence[int]) -> Tensor:
    """A map (B, C, h, w) at this size (height, width), bilinearly."""
    if tuple(level.shape[-2:]) == tuple(size):
        return level
    return F.interpolate(level, size=tuple(size), mode="bilinear", align_corners=False)
