"""A segmenter: images in [0, 1] in, logits of the 21 classes at the same size out.

The encoder is from timm or our plain CNN. The decoder is our U-Net, a pixel classifier, or one from
segmentation-models-pytorch.

To add a decoder of that library, add a row to ARCHITECTURES. To add another one, a module from the encoder's feature maps,
finest first, to logits of any stride, add its name to OWN_DECODERS and let _own_decoder build it. In both cases, add its
name to Decoder in config/segmentation.py.
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
from vocctl.models.batch_norm import fold_batch_norms, freeze_statistics
from vocctl.models.encoder import SIDE_MULTIPLE, TimmEncoder, check_known, is_plain_vit, vit_arguments
from vocctl.models.normalize import Normalize
from vocctl.models.pixel_classifier import HIDDEN, PixelClassifier
from vocctl.models.plain_cnn import PlainEncoder
from vocctl.models.unet import UNetDecoder
from vocctl.models.weights import load_pretrained, pixel_statistics

ARCHITECTURES = {
    "deeplabv3plus": smp.DeepLabV3Plus,
    "fpn": smp.FPN,
    "pspnet": smp.PSPNet,
    "unetplusplus": smp.UnetPlusPlus,
    "upernet": smp.UPerNet,
    "segformer": smp.Segformer,
    "dpt": smp.DPT,
}
OWN_DECODERS = ("unet", "linear", "mlp")


class EncoderDecoder(nn.Module):
    """An encoder and a decoder of ours, without normalization. The logits have the decoder's stride."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        scratch = config.encoder == "scratch"
        if config.decoder == "unet" and not scratch and is_plain_vit(config.encoder):
            raise ConfigError(
                f"{config.encoder} is a plain ViT with one stride: use --decoder linear, mlp or dpt, or an encoder with stages"
            )
        self.encoder = (
            PlainEncoder() if scratch else TimmEncoder(config.encoder, config.weights, freezes_bn=config.freeze_bn)
        )
        self.decoder = _own_decoder(config, self.encoder)

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.encoder(images))


def _own_decoder(config: ModelConfig, encoder: PlainEncoder | TimmEncoder) -> nn.Module:
    if config.decoder == "unet":
        return UNetDecoder(encoder.channels, encoder.strides, config.widths, NUM_SEG_CLASSES, skip=config.skip)
    hidden = HIDDEN if config.decoder == "mlp" else 0
    return PixelClassifier(encoder.channels, encoder.strides, NUM_SEG_CLASSES, hidden=hidden, skip=config.skip)


class Segmenter(nn.Module):
    """Maps images (B, 3, H, W) in [0, 1] of any size to logits (B, 21, H, W) float32.

    Sides that are not multiples of 32 are resized to the next multiple, and the logits are resized back.
    """

    def __init__(self, config: ModelConfig, *, load_pretrained: bool = True) -> None:
        """load_pretrained: False if other weights are about to be loaded."""
        super().__init__()
        self.freezes_bn = config.freeze_bn and config.pretrained
        self.freezes_encoder = config.freeze_encoder
        config = config if load_pretrained else replace(config, weights="none", freeze_encoder=False)
        if config.encoder == "scratch":
            self.normalize = Normalize((0.5,) * 3, (0.25,) * 3)
        else:
            check_known(config.encoder)
            self.normalize = Normalize(*pixel_statistics(config.encoder))
        self.backbone = EncoderDecoder(config) if config.decoder in OWN_DECODERS else _library_model(config)
        if self.freezes_bn:
            fold_batch_norms(self.encoder.eval())
        if self.freezes_encoder:
            self.encoder.requires_grad_(False)

    def forward(self, images: Tensor, stride: int = 1) -> Tensor:
        """stride: of the logits, (B, 21, H / stride, W / stride); 1 returns logits for every pixel.

        images may also be encoder features of P pixels, (B, P, D); the result is then the pixel classifier's logits,
        (B, 21, P). This goes through forward, because distributed training wraps forward alone.
        """
        if images.ndim == 3 and self.pixel_classifier is not None:
            return self.pixel_classifier.classify(images).float().transpose(1, 2)
        height, width = images.shape[-2:]
        x = self.normalize(images)
        input_size = tuple(-(-side // SIDE_MULTIPLE) * SIDE_MULTIPLE for side in (height, width))
        if input_size != (height, width):
            x = F.interpolate(x, size=input_size, mode="bilinear", align_corners=False)
        return _resized(self.backbone(x).float(), (-(-height // stride), -(-width // stride)))

    def logits_from_feature_maps(self, maps: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Logits (B, 21, H, W) of images of this size from their feature maps. Only for OWN_DECODERS."""
        return _resized(self.backbone.decoder(maps).float(), size)  # type: ignore[operator]

    def feature_maps(self, images: Tensor) -> list[Tensor]:
        """The encoder's feature maps, finest first. images: as in features."""
        return self.encoder(self.normalize(images))

    def encoder_state(self) -> dict[str, Tensor]:
        """The tensors that determine the feature maps, by name."""
        parts = {"normalize": self.normalize, "encoder": self.encoder}
        return {
            f"{part}.{name}": tensor for part, module in parts.items() for name, tensor in module.state_dict().items()
        }

    @property
    def pixel_classifier(self) -> PixelClassifier | None:
        """The part that can be fitted to the feature maps of a frozen encoder, of unet, linear and mlp; None: there is none."""
        decoder = self.backbone.decoder if isinstance(self.backbone, EncoderDecoder) else None
        if isinstance(decoder, UNetDecoder):
            return decoder.pixels
        return decoder if isinstance(decoder, PixelClassifier) else None

    def train(self, mode: bool = True) -> "Segmenter":
        super().train(mode)
        if self.freezes_bn:  # the encoder's batch norms that could not be folded into convolutions
            freeze_statistics(self.encoder)
        if self.freezes_encoder:
            self.encoder.eval()
        return self

    def features(self, images: Tensor) -> Tensor:
        """The encoder's deepest feature map (B, D, h, w). images: as in forward, with sides that are multiples of 32."""
        return _deepest_map(self.encoder(self.normalize(images)))

    def forward_with_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The logits, and the features as above, in one pass."""
        maps: list[Tensor] = []
        hook = self.encoder.register_forward_hook(lambda module, inputs, output: maps.append(_deepest_map(output)))
        try:
            return self(images), maps.pop()
        finally:
            hook.remove()

    def init_from_pixel_classifier(self) -> None:
        """Make the logits those of the pixel classifier alone, after it was fitted."""
        if isinstance(self.backbone, EncoderDecoder) and isinstance(self.backbone.decoder, UNetDecoder):
            self.backbone.decoder.init_from_pixel_classifier()

    @property
    def encoder(self) -> nn.Module:
        """The feature extractor, the only part that may have pretrained weights."""
        return self.backbone.encoder  # type: ignore[return-value]

    def lr_scales(self, encoder_lr_scale: float = 1.0, *, probed: bool = False) -> dict[str, float]:
        """Learning rate of each parameter as a multiple of --lr, by its name.

        probed: whether the pixel classifier was fitted before training; it then learns at the encoder's rate.
        """
        pretrained_ids = {id(parameter) for parameter in self.encoder.parameters()}
        if probed and self.pixel_classifier is not None:
            pretrained_ids |= {id(parameter) for parameter in self.pixel_classifier.parameters()}
        return {
            name: encoder_lr_scale if id(parameter) in pretrained_ids else 1.0
            for name, parameter in self.named_parameters()
        }


def _resized(logits: Tensor, size: tuple[int, int]) -> Tensor:
    if logits.shape[-2:] == size:
        return logits
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def _deepest_map(output: Any) -> Tensor:
    """The deepest feature map. output: an encoder's, a list of maps, finest first; a ViT's is (maps, class tokens)."""
    maps = output[0] if isinstance(output, tuple) else output
    deepest: Tensor = maps[-1]
    return deepest


def _library_model(config: ModelConfig) -> nn.Module:
    """A model of segmentation-models-pytorch. Raises ConfigError: encoder and decoder do not fit each other."""
    if config.encoder == "scratch":
        raise ConfigError(
            f"--encoder scratch works with the decoders {', '.join(OWN_DECODERS)}, not with {config.decoder}: omit --decoder"
        )
    plain_vit = is_plain_vit(config.encoder)
    if plain_vit != (config.decoder == "dpt"):
        raise ConfigError(
            f"{config.encoder} is a plain ViT with one stride: use --decoder linear, mlp or dpt"
            if plain_vit
            else f"--decoder dpt reads the blocks of a plain ViT, which {config.encoder} is not: use another --decoder"
        )
    arguments = vit_arguments(config.encoder) if plain_vit else {}
    try:
        model = ARCHITECTURES[config.decoder](
            encoder_name=f"tu-{config.encoder}", encoder_weights=None, classes=NUM_SEG_CLASSES, **arguments
        )
    except (ValueError, RuntimeError, TypeError, KeyError, AttributeError) as error:
        reason = str(error).split("\n")[0][:120]
        raise ConfigError(
            f"{config.decoder} does not work with {config.encoder}: use another --decoder or --encoder ({reason})"
        ) from error
    load_pretrained(model.encoder.model, config.encoder, config.weights, arguments, freezes_bn=config.freeze_bn)
    return model


def parameter_counts(model: Segmenter, config: ModelConfig) -> dict[str, int]:
    """Number of parameters of a segmenter and, for unet, linear and mlp, of the same with and without skip connections.

    config: that of the model.
    """
    counts = {"model": _num_parameters(model)}
    if isinstance(model.backbone, EncoderDecoder) and model.pixel_classifier is not None:
        for skip, label in ((True, "with skips"), (False, "without skips")):
            with torch.device("meta"):
                decoder = _own_decoder(replace(config, skip=skip), model.backbone.encoder)
            counts[label] = _num_parameters(model.encoder) + _num_parameters(decoder)
    return counts


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
