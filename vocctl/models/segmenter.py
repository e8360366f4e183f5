"""A segmenter: pixels in [0, 1] in, logits of 21 classes at the same size out.

Our U-Net, or a decoder of segmentation-models-pytorch by name, over a timm encoder or our own plain one.
"""

from dataclasses import replace
from typing import Any

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.config import ModelConfig
from vocctl.errors import ConfigError
from vocctl.labels import NUM_SEG_CLASSES
from vocctl.models.encoder import TimmEncoder, is_plain_vit, refuse_unknown
from vocctl.models.normalize import Normalize
from vocctl.models.plain_cnn import ScratchEncoder
from vocctl.models.unet import UNetDecoder
from vocctl.models.weights import load_encoder, pixel_statistics

ARCHITECTURES = {
    "deeplabv3plus": smp.DeepLabV3Plus,
    "fpn": smp.FPN,
    "pspnet": smp.PSPNet,
    "unetplusplus": smp.UnetPlusPlus,
    "upernet": smp.UPerNet,
    "segformer": smp.Segformer,
    "dpt": smp.DPT,
}


class UNet(nn.Module):
    """Encoder and decoder, without normalization. Logits come at the decoder's stride."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        scratch = config.encoder == "scratch"
        self.encoder = ScratchEncoder() if scratch else TimmEncoder(config.encoder, config.weights)
        self.decoder = UNetDecoder(self.encoder.channels, config.widths, NUM_SEG_CLASSES, skip=config.skip)

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images))


class Segmenter(nn.Module):
    """images (B, 3, H, W) in [0, 1], any H and W, to logits (B, 21, H, W) float32.

    Sides that 32 does not divide are stretched up to the next multiple, and the logits shrunk back.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if config.encoder == "scratch":
            self.normalize = Normalize((0.5,) * 3, (0.25,) * 3)
        else:
            refuse_unknown(config.encoder)
            self.normalize = Normalize(*pixel_statistics(config.encoder))
        self.backbone = UNet(config) if config.decoder == "unet" else _from_library(config)
        self.stride = 32

    def forward(self, images: Tensor, stride: int = 1) -> Tensor:
        """stride: pixels from one logit to the next; 1 gives one for each pixel, (B, 21, H / stride, W / stride)."""
        own = images.shape[-2:]
        x = self.normalize(images)
        fitted = [-(-side // self.stride) * self.stride for side in own]
        if fitted != list(own):
            x = F.interpolate(x, size=fitted, mode="bilinear", align_corners=False)
        logits = self.backbone(x).float()
        asked = (-(-own[0] // stride), -(-own[1] // stride))
        if logits.shape[-2:] != asked:
            logits = F.interpolate(logits, size=asked, mode="bilinear", align_corners=False)
        return logits

    def features(self, images: Tensor) -> Tensor:
        """The encoder's deepest features, (B, D, h, w). images: as forward takes them, of sides that 32 divides."""
        return _deepest(self.encoder(self.normalize(images)))

    def forward_with_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What forward gives, and features, in one pass."""
        held: list[Tensor] = []
        listening = self.encoder.register_forward_hook(lambda module, inputs, found: held.append(_deepest(found)))
        try:
            return self(images), held.pop()
        finally:
            listening.remove()

    @property
    def encoder(self) -> nn.Module:
        """What carries the pretrained weights, for a learning rate of its own."""
        encoder = self.backbone.encoder
        assert isinstance(encoder, nn.Module)
        return encoder


def _deepest(found: Any) -> Tensor:
    """Of what an encoder gives: maps, or of a ViT maps and class tokens."""
    maps = found[0] if isinstance(found, tuple) else found
    deepest: Tensor = maps[-1]
    return deepest


def _from_library(config: ModelConfig) -> nn.Module:
    if config.encoder == "scratch":
        raise ConfigError(f"--encoder scratch has our U-Net as its decoder, not {config.decoder}: leave out --decoder")
    plain_vit = is_plain_vit(config.encoder)
    if plain_vit != (config.decoder == "dpt"):
        raise ConfigError(
            f"{config.encoder} is a plain ViT with one stride: take --decoder dpt"
            if plain_vit
            else f"dpt reads the blocks of a plain ViT, and {config.encoder} is none: take another --decoder"
        )
    extra = {"dynamic_img_size": True} if plain_vit else {}
    try:
        backbone = ARCHITECTURES[config.decoder](
            encoder_name=f"tu-{config.encoder}", encoder_weights=None, classes=NUM_SEG_CLASSES, **extra
        )
    except (ValueError, RuntimeError, TypeError, KeyError, AttributeError) as error:
        reason = str(error).split("\n")[0][:120]
        raise ConfigError(
            f"{config.decoder} does not take {config.encoder}: take another of the two ({reason})"
        ) from error
    if plain_vit and 32 % (patch := _patch_size(backbone)) != 0:  # dpt's features lie at strides 4 to 32
        raise ConfigError(
            f"dpt takes a ViT with patches of 8, 16 or 32 pixels, {config.encoder} has {patch}: take another"
        )
    load_encoder(backbone.encoder.model, config.encoder, config.weights)
    return backbone


def _patch_size(backbone: nn.Module) -> int:
    patches = backbone.encoder.model.patch_embed  # type: ignore[union-attr]
    return int(patches.patch_size[0])  # type: ignore[union-attr, index]


def count_parameters(config: ModelConfig) -> int:
    """Parameters of the segmenter of this config; nothing is filled in."""
    with torch.device("meta"):
        model = Segmenter(replace(config, weights="none"))
    return sum(parameter.numel() for parameter in model.parameters())
