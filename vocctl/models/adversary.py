"""The adversary: a generator network that maps an image to its adversarial image in one forward pass.

Source: Poursaeed et al., arXiv 1712.02328 (GAP): U-Net and ResNet generators whose output is scaled to the norm ball.
What differs here:

* pixel_unshuffle moves each block of 4 x 4 pixels into 48 channels before the first convolution, and pixel_shuffle moves
  the output back to pixels. So convolutions run at a quarter of the height and width, and each pixel has its own values.
* The default generator is a decoder on the features of a frozen pretrained encoder, so that it knows from the first step
  on what is in the image.
* A universal perturbation, the same for all images (arXiv 1610.08401), is added to the network's output. It is learned
  within seconds; the network, whose last layer starts at 0, refines it. With --universal it is used alone.
* A few more universal perturbations are mixed per location, with weights that depend on the network's deepest features.

An image is resized to the training size as a model's input is (input_resize.py), and its perturbation is resized back.
Without this, a victim that downsamples a larger image would average the pattern away.

Generators map images (B, 3, H, W) in [0, 1], with H and W multiples of their `size_multiple`, to raw perturbations of
that shape. side: of the training crops, which are square, in pixels.
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

BLOCK = 4  # pixel_unshuffle moves BLOCK x BLOCK pixels into the channels
CHANNELS = 3 * BLOCK * BLOCK
UNIVERSAL_LR_SCALE = 250.0  # of universal perturbations: their values are pixels, not weights
GATE_LR_SCALE = 5.0
GATE_INIT_STD = 2.0  # of the gate's logits at the start
NUM_GATED = 16  # universal perturbations that are mixed
ATTACK_TANH_GAIN = 2.0  # factor inside an attack's tanh; 1 in training, where a steeper tanh would saturate too soon


def pixel_unshuffle(images: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 1] to (B, 48, H / 4, W / 4), roughly of zero mean and unit variance."""
    return F.pixel_unshuffle((images - 0.5) / 0.25, BLOCK).contiguous(memory_format=torch.channels_last)


def pixel_shuffle(x: Tensor) -> Tensor:
    """(B, 48, H / 4, W / 4) to (B, 3, H, W)."""
    return F.pixel_shuffle(x, BLOCK)


def upsample(x: Tensor, like: Tensor) -> Tensor:
    """Nearest-neighbor upsampling to the size of `like`."""
    return F.interpolate(x, size=like.shape[-2:], mode="nearest")


class UniversalPerturbation(nn.Module):
    """Raw perturbations (N, 3, S, S) that do not depend on the image, tiled for larger images."""

    def __init__(self, count: int, side: int) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.randn(count, 3, side, side) * 0.1)

    def forward(self, height: int, width: int) -> Tensor:
        """(N, 3, H, W)"""
        side = self.raw.shape[-1]
        return self.raw.tile(-(-height // side), -(-width // side))[..., :height, :width]


class GatedPerturbations(nn.Module):
    """A mixture of universal perturbations, with weights that depend on the features at each location."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.universal = UniversalPerturbation(NUM_GATED, side)
        self.center = nn.BatchNorm2d(
            channels, affine=False
        )  # normalizes; files of saved weights contain the name center, so it stays
        self.gate = nn.Conv2d(channels, NUM_GATED, 1)
        nn.init.normal_(self.gate.weight, std=GATE_INIT_STD / channels**0.5)

    def forward(self, features: Tensor, images: Tensor) -> Tensor:
        """features (B, C, H / s, W / s) of images (B, 3, H, W) to (B, 3, H, W); s x s pixels share their weights."""
        weights = self.gate(self.center(features)).softmax(1)
        rows, columns = weights.shape[-2:]
        tiles = self.universal(*images.shape[-2:]).unflatten(3, (columns, -1)).unflatten(2, (rows, -1))
        # n: universal perturbation; h, w: location; p, q: pixel within the s x s pixels of a location
        return torch.einsum("bnhw,nchpwq->bchpwq", weights, tiles.to(weights.dtype)).flatten(4).flatten(2, 3)


class PretrainedGenerator(nn.Module):
    """A decoder over a frozen pretrained encoder and the unshuffled image. Each deeper level has twice the channels."""

    def __init__(self, encoder: str, weights: str, width: int, side: int) -> None:
        super().__init__()
        self.normalize = Normalize(*pixel_statistics(encoder))
        self.encoder = TimmEncoder(encoder, weights).requires_grad_(False)
        self.size_multiple = max(BLOCK, *self.encoder.strides)
        *skip_channels, deepest = self.encoder.channels
        widths = [width * 2**level for level in range(len(skip_channels))]
        deeper = [*widths[1:], deepest]
        self.up = nn.ModuleList(
            conv_block(deep + skip, level_width)
            for deep, skip, level_width in reversed(list(zip(deeper, skip_channels, widths, strict=True)))
        )
        self.first = conv_block(CHANNELS, width)
        self.mix = nn.Sequential(conv_block(2 * width, width), conv_block(width, width))
        self.last = nn.Conv2d(width, CHANNELS, 3, padding=1)
        self.gated = GatedPerturbations(deepest, side)

    def train(self, mode: bool = True) -> "PretrainedGenerator":
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            *skips, deepest = self.encoder(self.normalize(images).contiguous(memory_format=torch.channels_last))
        x = deepest
        for up, skip in zip(self.up, reversed(skips), strict=True):
            x = up(torch.cat([upsample(x, skip), skip], dim=1))
        fine = self.first(pixel_unshuffle(images))
        image_dependent = pixel_shuffle(self.last(self.mix(torch.cat([upsample(x, fine), fine], dim=1))))
        return image_dependent + self.gated(deepest, images)


class UNetGenerator(nn.Module):
    """A U-Net over the unshuffled image. Each of `depth` levels halves the height and width and doubles the channels."""

    def __init__(self, width: int, depth: int, side: int) -> None:
        super().__init__()
        self.size_multiple = BLOCK * 2**depth
        widths = [width * 2**level for level in range(depth + 1)]
        self.first = nn.Sequential(conv_block(CHANNELS, width), conv_block(width, width))
        self.down = nn.ModuleList(
            nn.Sequential(conv_block(fine, deep, stride=2), conv_block(deep, deep)) for fine, deep in pairwise(widths)
        )
        self.up = nn.ModuleList(conv_block(deep + fine, fine) for fine, deep in reversed(list(pairwise(widths))))
        self.last = nn.Conv2d(width, CHANNELS, 3, padding=1)
        self.gated = GatedPerturbations(widths[-1], side)

    def forward(self, images: Tensor) -> Tensor:
        levels = [self.first(pixel_unshuffle(images))]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = deepest = levels.pop()
        for up in self.up:
            skip = levels.pop()
            x = up(torch.cat([upsample(x, skip), skip], dim=1))
        return pixel_shuffle(self.last(x)) + self.gated(deepest, images)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            conv_block(width, width), nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.convolutions(x))


class ResNetGenerator(nn.Module):
    """`depth` residual blocks at half the height and width of the unshuffled image, an eighth of the image's."""

    def __init__(self, width: int, depth: int, side: int) -> None:
        super().__init__()
        self.size_multiple = 2 * BLOCK
        self.first = nn.Sequential(conv_block(CHANNELS, width), conv_block(width, 2 * width, stride=2))
        self.blocks = nn.Sequential(*(_Residual(2 * width) for _ in range(depth)))
        self.mix = conv_block(3 * width, width)
        self.last = nn.Conv2d(width, CHANNELS, 3, padding=1)
        self.gated = GatedPerturbations(2 * width, side)

    def forward(self, images: Tensor) -> Tensor:
        fine = self.first[0](pixel_unshuffle(images))
        deepest = self.blocks(self.first[1](fine))
        image_dependent = pixel_shuffle(self.last(self.mix(torch.cat([upsample(deepest, fine), fine], dim=1))))
        return image_dependent + self.gated(deepest, images)


class Adversary(nn.Module):
    """Maps images (B, 3, H, W) in [0, 1] of any size to adversarial images in [0, 1].

    bound: how the perturbation is bounded.
    linf: epsilon * tanh(raw); attacks use a steeper tanh than training, so that more pixels reach epsilon.
    l2: tanh(raw), scaled per image by min(1, epsilon / norm): a larger epsilon than the norm changes nothing.
    unbounded: tanh(raw); only a penalty in the training loss keeps it small, and epsilon is ignored.
    side: of the training crops in pixels; images are resized like the input of a model of this size.
    """

    def __init__(self, config: GeneratorConfig, bound: str, epsilon: float, side: int) -> None:
        super().__init__()
        self.bound, self.epsilon, self.side = bound, epsilon, side
        self.universal = UniversalPerturbation(1, side)
        self.generator = None if config.universal else _build_generator(config, side)

    def lr_scales(self) -> dict[str, float]:
        """Learning rate of each parameter, frozen ones included, as a multiple of --lr, by its name."""
        scales = {}
        for name, _ in self.named_parameters():
            if name.endswith("universal.raw"):
                scales[name] = UNIVERSAL_LR_SCALE
            else:
                scales[name] = GATE_LR_SCALE if name.startswith("generator.gated.gate.") else 1.0
        return scales

    def forward(self, images: Tensor, epsilon: float | None = None) -> Tensor:
        """epsilon: overrides the one that the adversary was built with."""
        return (images + self.perturbation(images, self.epsilon if epsilon is None else epsilon)).clamp(0, 1)

    def perturbation(self, images: Tensor, epsilon: float) -> Tensor:
        """(B, 3, H, W) within the bound; the sum with the image is not yet clamped to [0, 1]."""
        raw = self._raw_perturbation(images).float()
        if self.bound == "linf":
            return epsilon * torch.tanh(raw if self.training else ATTACK_TANH_GAIN * raw)
        raw = torch.tanh(raw)
        if self.bound == "unbounded":
            return raw
        norms = torch.linalg.vector_norm(raw.flatten(1), dim=1).clamp(min=1e-12)
        return raw * (epsilon / norms).clamp(max=1).view(-1, 1, 1, 1)

    def _raw_perturbation(self, images: Tensor) -> Tensor:
        resized = resize_differentiable(images, self.side)
        height, width = resized.shape[-2:]
        raw = self.universal(height, width)
        if self.generator is not None:
            right, bottom = -width % self.generator.size_multiple, -height % self.generator.size_multiple
            padded = F.pad(resized, (0, right, 0, bottom), mode="replicate") if right or bottom else resized
            raw = raw + self.generator(padded)[:, :, :height, :width].float()
        if resized.shape != images.shape:
            raw = F.interpolate(raw, size=images.shape[-2:], mode="bilinear", align_corners=False)
        return raw.expand_as(images)


def _build_generator(config: GeneratorConfig, side: int) -> PretrainedGenerator | UNetGenerator | ResNetGenerator:
    """The generator that the config names; its last layer starts at 0."""
    generator: PretrainedGenerator | UNetGenerator | ResNetGenerator
    if config.generator == "pretrained":
        generator = PretrainedGenerator(config.encoder, config.weights, config.width, side)
    else:
        architecture = UNetGenerator if config.generator == "unet" else ResNetGenerator
        generator = architecture(config.width, config.depth, side)
    for parameter in generator.last.parameters():
        nn.init.zeros_(parameter)
    return generator
