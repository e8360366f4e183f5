"""The CNN adversary: an encoder-decoder that maps a photo to its adversarial image in one forward pass.

Source: Poursaeed et al., arXiv 1712.02328 (GAP), U-Net and ResNet generators scaled to the norm ball. Here the photo is
first folded, 4 x 4 pixels to 48 channels, and the perturbation unfolded the same way: convolutions run at a quarter of the
sides and each pixel still has a value of its own. A universal adversary is one perturbation for every photo.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.config import GeneratorConfig
from vocctl.models.scratch import conv_block

FOLD = 4  # pixels of a side that become channels
CHANNELS = 3 * FOLD * FOLD


class UNetGenerator(nn.Module):
    """Folded photos (B, 48, h, w) to folded raw perturbations. Each of `depth` levels: half the sides, double the width."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.first = nn.Sequential(conv_block(CHANNELS, width), conv_block(width, width))
        self.down = nn.ModuleList(
            nn.Sequential(conv_block(fine, deep, stride=2), conv_block(deep, deep)) for fine, deep in pairwise(widths)
        )
        self.up = nn.ModuleList(conv_block(deep + fine, fine) for fine, deep in reversed(list(pairwise(widths))))
        self.last = nn.Conv2d(width, CHANNELS, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        levels = [self.first(x)]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = levels.pop()
        for up in self.up:
            fine = levels.pop()
            x = up(torch.cat([F.interpolate(x, size=fine.shape[-2:], mode="nearest"), fine], dim=1))
        return self.last(x)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_block(width, width), nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class ResNetGenerator(nn.Module):
    """Folded photos (B, 48, h, w) to folded raw perturbations: `depth` residual blocks at half the folded sides."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.first = nn.Sequential(conv_block(CHANNELS, width), conv_block(width, 2 * width, stride=2))
        self.blocks = nn.Sequential(*(_Residual(2 * width) for _ in range(depth)))
        self.last = nn.Sequential(conv_block(3 * width, width), nn.Conv2d(width, CHANNELS, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        fine = self.first[0](x)
        deep = self.blocks(self.first[1](fine))
        return self.last(torch.cat([F.interpolate(deep, size=fine.shape[-2:], mode="nearest"), fine], dim=1))


class UniversalPerturbation(nn.Module):
    """One raw perturbation, (1, 3, S, S), stretched to each photo's size."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.randn(1, 3, side, side) * 0.1)

    def forward(self, images: Tensor) -> Tensor:
        return F.interpolate(self.raw, size=images.shape[-2:], mode="bilinear", align_corners=False).expand_as(images)


class Adversary(nn.Module):
    """images (B, 3, H, W) in [0, 1], any size, to adversarial images in [0, 1].

    budget linf: epsilon * tanh of what the network says. l2: scaled by min(1, epsilon / norm), photo by photo, of changes
    that are at most 1. soft: changes of at most 1 that only the training's penalty keeps small; epsilon is not looked at.
    """

    def __init__(self, config: GeneratorConfig, budget: str, epsilon: float, size: int) -> None:
        super().__init__()
        self.budget, self.epsilon = budget, epsilon
        kinds = {"unet": UNetGenerator, "resnet": ResNetGenerator}
        self.body = (
            UniversalPerturbation(size) if config.universal else kinds[config.generator](config.width, config.depth)
        )
        self.multiple = FOLD * (2**config.depth if config.generator == "unet" else 2)

    def forward(self, images: Tensor, epsilon: float | None = None) -> Tensor:
        """epsilon: in place of the one that it was made for."""
        return (images + self.perturbation(images, self.epsilon if epsilon is None else epsilon)).clamp(0, 1)

    def perturbation(self, images: Tensor, epsilon: float) -> Tensor:
        """(B, 3, H, W), inside the budget; not yet cut to [0, 1]."""
        raw = torch.tanh(self._raw(images).float())
        if self.budget == "linf":
            return epsilon * raw
        if self.budget == "soft":
            return raw
        length = torch.linalg.vector_norm(raw.flatten(1), dim=1).clamp(min=1e-12)
        return raw * (epsilon / length).clamp(max=1).view(-1, 1, 1, 1)

    def _raw(self, images: Tensor) -> Tensor:
        if isinstance(self.body, UniversalPerturbation):
            return self.body(images)
        height, width = images.shape[-2:]
        right, bottom = -width % self.multiple, -height % self.multiple
        padded = F.pad(images, (0, right, 0, bottom), mode="replicate") if right or bottom else images
        folded = F.pixel_unshuffle((padded - 0.5) / 0.25, FOLD).contiguous(memory_format=torch.channels_last)
        return F.pixel_shuffle(self.body(folded), FOLD)[:, :, :height, :width]
