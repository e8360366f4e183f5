"""The features that a pixel classifier reads, computed as their definition says: for tests."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def features_on_grid(maps: Sequence[Tensor], strides: Sequence[int], grid_level: int) -> Tensor:
    """Features (B, D, h, w) at the positions of maps[grid_level]. maps: (B, C, h, w) each, finest first."""
    size, grid_stride = maps[grid_level].shape[-2:], strides[grid_level]
    resized = [
        F.avg_pool2d(level, grid_stride // stride, ceil_mode=True)
        if stride < grid_stride
        else F.interpolate(level, size=size, mode="bilinear", align_corners=False)
        for level, stride in zip(maps, strides, strict=True)
    ]
    return torch.cat([*resized, maps[-1].mean((2, 3), keepdim=True).expand(-1, -1, *size)], 1)
