"""Any timm network as an encoder: features at falling strides, with pretrained weights."""

import timm
from torch import Tensor, nn

from vocctl.config import closest
from vocctl.errors import ConfigError
from vocctl.models.weights import load_encoder

FINEST = 4  # the stride of the finest feature that a decoder sees


class TimmEncoder(nn.Module):
    """images (B, 3, H, W), normalized, to features at strides of 4 and more, finest first."""

    def __init__(self, name: str, weights: str) -> None:
        super().__init__()
        refuse_unknown(name)
        if is_plain_vit(name):
            raise ConfigError(f"{name} has features at one stride alone: take --decoder dpt, or an encoder with stages")
        about = timm.get_pretrained_cfg(name, allow_unregistered=True)
        if about is not None and about.fixed_input_size:
            raise ConfigError(f"{name} takes images of one size alone, VOC's differ: take another --encoder")
        try:
            every = _strides(timm.create_model(name, features_only=True, pretrained=False))
            keep = tuple(place for place, stride in enumerate(every) if stride >= FINEST)
            self.backbone = timm.create_model(name, features_only=True, pretrained=False, out_indices=keep)
        except (RuntimeError, AttributeError, TypeError, AssertionError) as error:
            reason = str(error).split("\n")[0][:120]
            raise ConfigError(f"{name} offers no features to a decoder: take another --encoder ({reason})") from error
        self.channels: tuple[int, ...] = tuple(self.backbone.feature_info.channels())  # type: ignore[union-attr, operator]
        self.strides: tuple[int, ...] = _strides(self.backbone)
        if len(set(self.strides)) < len(self.strides):
            raise ConfigError(f"{name} has features at strides {self.strides}, which don't fall: take --decoder dpt")
        load_encoder(self.backbone, name, weights)

    def forward(self, images: Tensor) -> list[Tensor]:
        features = self.backbone(images)
        if features[0].shape[1] != self.channels[0]:  # Swin-like networks put channels last
            return [feature.permute(0, 3, 1, 2).contiguous() for feature in features]
        return features


def _strides(backbone: nn.Module) -> tuple[int, ...]:
    return tuple(backbone.feature_info.reduction())  # type: ignore[union-attr, operator]


def refuse_unknown(name: str) -> None:
    """Raises ConfigError with the closest name where timm has no such model."""
    if not timm.is_model(name):
        raise ConfigError(f"timm has no model {name!r}{closest(name, timm.list_models())}")


def is_plain_vit(name: str) -> bool:
    """A transformer whose every block has the one stride of its patches."""
    return name.startswith(("vit_", "deit", "beit", "eva", "flexivit", "dinov2", "samvit", "naflexvit"))
