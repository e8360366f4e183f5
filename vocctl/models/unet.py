"""Our U-Net decoder over an encoder's features, with and without skip connections.

Source: Ronneberger et al., arXiv 1505.04597, with an encoder in place of the contracting path. The decoder stops at the
finest feature it is given (stride 4); its logits are upsampled bilinearly from there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.errors import ConfigError
from vocctl.models.plain_cnn import conv_block


class UNetDecoder(nn.Module):
    """Features, finest first, to logits (B, K, h, w) at the finest stride.

    channels: of the features, finest first. widths: of the decoder's steps, deepest first, one for each doubling.
    skip: each step sees the encoder's feature of its own stride; without, only what came up from the deepest one.
    """

    def __init__(self, channels: tuple[int, ...], widths: tuple[int, ...], classes: int, *, skip: bool) -> None:
        super().__init__()
        if len(widths) != len(channels) - 1:
            raise ConfigError(
                f"this encoder takes {len(channels) - 1} decoder widths, deepest first; got {len(widths)}"
            )
        self.skip = skip
        below = (channels[-1], *widths[:-1])
        beside = tuple(reversed(channels[:-1])) if skip else (0,) * len(widths)
        self.steps = nn.ModuleList(
            nn.Sequential(conv_block(deep + fine, width), conv_block(width, width))
            for deep, fine, width in zip(below, beside, widths, strict=True)
        )
        self.head = nn.Conv2d(widths[-1], classes, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        *finer, x = features
        for step, fine in zip(self.steps, reversed(finer), strict=True):
            x = F.interpolate(x, size=fine.shape[-2:], mode="nearest")
            x = step(torch.cat([x, fine], dim=1) if self.skip else x)
        return self.head(x)
