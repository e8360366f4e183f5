"""The CNN adversary: an encoder-decoder that maps a image to its adversarial image in one forward pass.

A image is fitted to the size of the training's, as a model's input is (resizing.py), and what is said of it enlarged to its
own: a pattern that was learned at one scale would be averaged away where a target sees a larger image made small.

Source: Poursaeed et al., arXiv 1712.02328 (GAP), U-Net and ResNet generators scaled to the norm ball. Here the image is
first folded, 4 x 4 pixels to 48 channels, and the perturbation unfolded the same way: convolutions run at a quarter of the
sides and each pixel still has a value of its own. The default decodes the features of a pretrained encoder, which say from
the first step on what is where. To what it says one perturbation is added that all images share (a universal one: arXiv
1610.08401), which learns within seconds what a network takes minutes for; the network, whose decoder begins at 0, refines
it. A universal adversary is that perturbation alone. Between the two lies a mixture: a few more of the shared kind, of which
each place takes what the network's deepest features say of it.

Generators map images (B, 3, H, W) in [0, 1], whose sides their `multiple` divides, to raw perturbations of that shape; side
is that of the crops they are trained with.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.config import GeneratorConfig
from vocctl.models.encoder import TimmEncoder
from vocctl.models.input_resize import resize_differentiable
from vocctl.models.normalize import Normalize
from vocctl.models.plain_cnn import conv_block
from vocctl.models.weights import pixel_statistics

FOLD = 4  # pixels of a side that become channels
CHANNELS = 3 * FOLD * FOLD
UNIVERSAL_RATE = 250.0  # of what images share, in learning rates: its values are pixels, not weights
MIXED = 16  # perturbations of a mixture
GATE_RATE, GATE_SPREAD = 5.0, 2.0  # learning rates; of the gate's logits at first, in standard deviations
STEEPNESS = 2.0  # of an attack's tanh; in training 1, where a steeper one would be flat too soon


def pixel_unshuffle(images: Tensor) -> Tensor:
    """(B, 48, H / 4, W / 4), of about one unit's spread."""
    return F.pixel_unshuffle((images - 0.5) / 0.25, FOLD).contiguous(memory_format=torch.channels_last)


def pixel_shuffle(x: Tensor) -> Tensor:
    return F.pixel_shuffle(x, FOLD)


def upsample(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="nearest")


class UniversalPerturbation(nn.Module):
    """Raw perturbations (N, 3, S, S) that belong to no image, repeated to the right and below where one is larger."""

    def __init__(self, count: int, side: int) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.randn(count, 3, side, side) * 0.1)

    def forward(self, height: int, width: int) -> Tensor:
        """(N, 3, H, W)"""
        side = self.raw.shape[-1]
        return self.raw.tile(-(-height // side), -(-width // side))[..., :height, :width]


class GatedPerturbations(nn.Module):
    """What is at a place, by the features there, decides how much of each of its perturbations the place takes."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.shared = UniversalPerturbation(MIXED, side)
        self.center = nn.BatchNorm2d(channels, affine=False)
        self.gate = nn.Conv2d(channels, MIXED, 1)
        nn.init.normal_(self.gate.weight, std=GATE_SPREAD / channels**0.5)

    def forward(self, features: Tensor, images: Tensor) -> Tensor:
        """(B, 3, H, W) for features (B, C, H / s, W / s) of images (B, 3, H, W): one mixture for each s x s pixels."""
        shares = self.gate(self.center(features)).softmax(1)
        down, across = shares.shape[-2:]
        cells = self.shared(*images.shape[-2:]).unflatten(3, (across, -1)).unflatten(2, (down, -1))
        return torch.einsum("bnhw,nchpwq->bchpwq", shares, cells.to(shares.dtype)).flatten(4).flatten(2, 3)


class PretrainedGenerator(nn.Module):
    """A decoder over an encoder that stays as it was pretrained, and over the folded image. Twice the width each level."""

    def __init__(self, encoder: str, weights: str, width: int, side: int) -> None:
        super().__init__()
        self.normalize = Normalize(*pixel_statistics(encoder))
        self.encoder = TimmEncoder(encoder, weights).requires_grad_(False)
        self.multiple = max(FOLD, *self.encoder.strides)
        *beside, deepest = self.encoder.channels
        widths = [width * 2**level for level in range(len(beside))]
        below = [*widths[1:], deepest]
        self.up = nn.ModuleList(
            conv_block(deep + fine, wide)
            for deep, fine, wide in reversed(list(zip(below, beside, widths, strict=True)))
        )
        self.first = conv_block(CHANNELS, width)
        self.mix = nn.Sequential(conv_block(2 * width, width), conv_block(width, width))
        self.last = nn.Conv2d(width, CHANNELS, 3, padding=1)
        self.mixture = GatedPerturbations(deepest, side)

    def train(self, mode: bool = True) -> "PretrainedGenerator":
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            *finer, deep = self.encoder(self.normalize(images).contiguous(memory_format=torch.channels_last))
        x = deep
        for up, fine in zip(self.up, reversed(finer), strict=True):
            x = up(torch.cat([upsample(x, fine), fine], dim=1))
        own = self.first(pixel_unshuffle(images))
        return pixel_shuffle(self.last(self.mix(torch.cat([upsample(x, own), own], dim=1)))) + self.mixture(
            deep, images
        )


class UNetGenerator(nn.Module):
    """Over the folded image. Each of `depth` levels: half the sides, double the width."""

    def __init__(self, width: int, depth: int, side: int) -> None:
        super().__init__()
        self.multiple = FOLD * 2**depth
        widths = [width * 2**level for level in range(depth + 1)]
        self.first = nn.Sequential(conv_block(CHANNELS, width), conv_block(width, width))
        self.down = nn.ModuleList(
            nn.Sequential(conv_block(fine, deep, stride=2), conv_block(deep, deep)) for fine, deep in pairwise(widths)
        )
        self.up = nn.ModuleList(conv_block(deep + fine, fine) for fine, deep in reversed(list(pairwise(widths))))
        self.last = nn.Conv2d(width, CHANNELS, 3, padding=1)
        self.mixture = GatedPerturbations(widths[-1], side)

    def forward(self, images: Tensor) -> Tensor:
        levels = [self.first(pixel_unshuffle(images))]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = deep = levels.pop()
        for up in self.up:
            fine = levels.pop()
            x = up(torch.cat([upsample(x, fine), fine], dim=1))
        return pixel_shuffle(self.last(x)) + self.mixture(deep, images)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            conv_block(width, width), nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.backbone(x))


class ResNetGenerator(nn.Module):
    """Over the folded image: `depth` residual blocks at half its sides."""

    def __init__(self, width: int, depth: int, side: int) -> None:
        super().__init__()
        self.multiple = 2 * FOLD
        self.first = nn.Sequential(conv_block(CHANNELS, width), conv_block(width, 2 * width, stride=2))
        self.blocks = nn.Sequential(*(_Residual(2 * width) for _ in range(depth)))
        self.mix = conv_block(3 * width, width)
        self.last = nn.Conv2d(width, CHANNELS, 3, padding=1)
        self.mixture = GatedPerturbations(2 * width, side)

    def forward(self, images: Tensor) -> Tensor:
        fine = self.first[0](pixel_unshuffle(images))
        deep = self.blocks(self.first[1](fine))
        return pixel_shuffle(self.last(self.mix(torch.cat([upsample(deep, fine), fine], dim=1)))) + self.mixture(
            deep, images
        )


class Adversary(nn.Module):
    """images (B, 3, H, W) in [0, 1], any size, to adversarial images in [0, 1].

    budget linf: epsilon * tanh of what the network says, steeper in use than in training, so that more of it is used. l2:
    scaled by min(1, epsilon / norm), image by image, of changes that are at most 1. soft: changes of at most 1 that only the
    training's penalty keeps small; epsilon is not looked at.
    """

    def __init__(self, config: GeneratorConfig, budget: str, epsilon: float, size: int) -> None:
        super().__init__()
        self.budget, self.epsilon, self.size = budget, epsilon, size
        self.universal = UniversalPerturbation(1, size)
        self.backbone = None if config.universal else _generator(config, size)

    def layers(self) -> list[tuple[list[nn.Parameter], float]]:
        """All parameters, each list with its share of the learning rate."""
        if self.backbone is None:
            return [(list(self.universal.parameters()), UNIVERSAL_RATE)]
        pixels = [self.universal.raw, self.backbone.mixture.shared.raw]
        gate = list(self.backbone.mixture.gate.parameters())
        apart = {id(parameter) for parameter in [*pixels, *gate]}
        rest = [parameter for parameter in self.backbone.parameters() if id(parameter) not in apart]
        return [(pixels, UNIVERSAL_RATE), (gate, GATE_RATE), (rest, 1.0)]

    def forward(self, images: Tensor, epsilon: float | None = None) -> Tensor:
        """epsilon: in place of the one that it was made for."""
        return (images + self.perturbation(images, self.epsilon if epsilon is None else epsilon)).clamp(0, 1)

    def perturbation(self, images: Tensor, epsilon: float) -> Tensor:
        """(B, 3, H, W), inside the budget; not yet cut to [0, 1]."""
        raw = self._raw(images).float()
        if self.budget == "linf":
            return epsilon * torch.tanh(raw if self.training else STEEPNESS * raw)
        raw = torch.tanh(raw)
        if self.budget == "soft":
            return raw
        length = torch.linalg.vector_norm(raw.flatten(1), dim=1).clamp(min=1e-12)
        return raw * (epsilon / length).clamp(max=1).view(-1, 1, 1, 1)

    def _raw(self, images: Tensor) -> Tensor:
        seen = resize_differentiable(images, self.size)
        height, width = seen.shape[-2:]
        raw = self.universal(height, width)
        if self.backbone is not None:
            right, bottom = -width % self.backbone.multiple, -height % self.backbone.multiple
            padded = F.pad(seen, (0, right, 0, bottom), mode="replicate") if right or bottom else seen
            raw = raw + self.backbone(padded)[:, :, :height, :width].float()
        if seen.shape != images.shape:
            raw = F.interpolate(raw, size=images.shape[-2:], mode="bilinear", align_corners=False)
        return raw.expand_as(images)


def _generator(config: GeneratorConfig, side: int) -> PretrainedGenerator | UNetGenerator | ResNetGenerator:
    generator: PretrainedGenerator | UNetGenerator | ResNetGenerator
    if config.generator == "pretrained":
        generator = PretrainedGenerator(config.encoder, config.weights, config.width, side)
    else:
        plain = UNetGenerator if config.generator == "unet" else ResNetGenerator
        generator = plain(config.width, config.depth, side)
    for begins_at_zero in generator.last.parameters():
        nn.init.zeros_(begins_at_zero)
    return generator
