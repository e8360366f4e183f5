"""Our U-Net decoder over an encoder's feature maps, with and without skip connections.

Source: Ronneberger et al., arXiv 1505.04597, with any encoder in place of the contracting path. Its logits are added to
those of a pixel classifier on the same feature maps, which can be fitted alone before the U-Net is trained. The logits
have the stride of the finest feature map, 4; Segmenter upsamples them bilinearly.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.errors import ConfigError
from vocctl.models.pixel_classifier import HIDDEN, PixelClassifier
from vocctl.models.plain_cnn import conv_block


class UNetDecoder(nn.Module):
    """Maps feature maps, finest first, to logits (B, K, h, w) at the finest stride.

    channels, strides: of the feature maps, finest first. widths: output channels of the decoder's blocks, deepest first;
    each block doubles the resolution. skip: True: each block also reads the encoder's feature map of its resolution, and
    the pixel classifier reads all maps. False: both read the deepest map alone.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        strides: tuple[int, ...],
        widths: tuple[int, ...],
        num_classes: int,
        *,
        skip: bool,
    ) -> None:
        super().__init__()
        if len(widths) != len(channels) - 1:
            raise ConfigError(
                f"--widths: this encoder needs {len(channels) - 1} decoder widths, deepest first; got {len(widths)}"
            )
        self.skip = skip
        deeper = (channels[-1], *widths[:-1])
        skip_channels = tuple(reversed(channels[:-1])) if skip else (0,) * len(widths)
        self.steps = nn.ModuleList(
            nn.Sequential(conv_block(deep + fine, width), conv_block(width, width))
            for deep, fine, width in zip(deeper, skip_channels, widths, strict=True)
        )
        self.head = nn.Conv2d(widths[-1], num_classes, 1)
        self.pixels = PixelClassifier(channels, strides, num_classes, hidden=HIDDEN, skip=skip)

    def init_from_pixel_classifier(self) -> None:
        """Set the head to 0, so that the logits are at first those of the fitted pixel classifier alone."""
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, features: list[Tensor]) -> Tensor:
        *skips, x = features
        for step, skip in zip(self.steps, reversed(skips), strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="nearest")
            x = step(torch.cat([x, skip], dim=1) if self.skip else x)
        pixel_logits = self.pixels(features)
        return self.head(x) + F.interpolate(pixel_logits, size=x.shape[-2:], mode="bilinear", align_corners=False)
