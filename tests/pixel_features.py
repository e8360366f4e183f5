"""The features that a pixel classifier reads, computed as their definition says: for tests."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vocctl.models.pixel_classifier import interpolate, pool_to_stride


def features_on_grid(maps: Sequence[Tensor], strides: Sequence[int], grid_level: int) -> Tensor:
    """Features (B, D, h, w) at the positions of maps[grid_level]. maps: (B, C, h, w) each, finest first."""
    size = maps[grid_level].shape[-2:]
    resized = [
        interpolate(pool_to_stride(level, stride, strides[grid_level]), size)
        for level, stride in zip(maps, strides, strict=True)
    ]
    return torch.cat([*resized, maps[-1].mean((2, 3), keepdim=True).expand(-1, -1, *size)], 1)
