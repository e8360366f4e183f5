"""Pixel classifiers: a linear layer or a small MLP on each pixel's features, the concatenated feature maps of all strides.

The features of one pixel are those of every feature map at its position, by bilinear interpolation, and the mean of the
deepest map over the image as context ("hypercolumns": Hariharan et al., arXiv 1411.5752; reading finer maps beside the
deepest one is what skip connections do: Long et al., arXiv 1411.4038). They are standardized by the
mean and standard deviation over the training pixels, which are buffers. The logits have the stride of the feature map
nearest to stride 8; Segmenter upsamples them bilinearly.
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
        channels, self.strides = channels[self.levels], tuple(strides[self.levels])
        self.grid = min(
            range(len(channels)), key=lambda level: abs(self.strides[level] - STRIDE)
        )  # index of a feature map
        self.num_features = sum(channels) + channels[-1]
        self.register_buffer("mean", torch.zeros(self.num_features))
        self.register_buffer("std", torch.ones(self.num_features))
        layers: list[nn.Module] = []
        if hidden:
            layers = [nn.Linear(self.num_features, hidden), nn.ReLU(inplace=True), nn.Dropout(DROPOUT)]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden or self.num_features, num_classes))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        features = features_on_grid(maps[self.levels], self.strides, self.grid).permute(0, 2, 3, 1)
        return self.classify(features).permute(0, 3, 1, 2)

    def classify(self, features: Tensor) -> Tensor:
        """Logits (..., K) of pixels with these features (..., D).

        They may be those of all maps: the deepest one and the mean, which are read without skips, come last.
        """
        return self.layers((features[..., -self.num_features :] - self.mean) / self.std)

    @torch.no_grad()
    def standardize(self, mean: Tensor, std: Tensor) -> None:
        """Set the mean and the standard deviation of the features, (D,) each."""
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > MIN_STD, std, 1.0))


def features_on_grid(maps: Sequence[Tensor], strides: Sequence[int], grid: int) -> Tensor:
    """Features (B, D, h, w) at the positions of maps[grid]. maps: (B, C, h, w) each, finest first.

    strides: of the maps; each is a multiple of those before it.
    """
    height, width = maps[grid].shape[-2:]
    resized = [
        F.avg_pool2d(level, strides[grid] // stride, ceil_mode=True)
        if stride < strides[grid]
        else F.interpolate(level, size=(height, width), mode="bilinear", align_corners=False)
        for level, stride in zip(maps, strides, strict=True)
    ]
    return torch.cat([*resized, maps[-1].mean((2, 3), keepdim=True).expand(-1, -1, height, width)], 1)
