"""Any timm network as an encoder: feature maps at decreasing resolutions, with pretrained weights."""

from functools import cache
from typing import Any

import timm
import torch
from torch import Tensor, nn

from vocctl.config import did_you_mean
from vocctl.errors import ConfigError
from vocctl.models.weights import load_pretrained

FINEST_STRIDE = 4  # of the finest feature map that a decoder gets
SIDE_MULTIPLE = 32  # of the input: what encoders downsample by
VIT_MAPS = 4  # feature maps of a plain ViT: of the last block of each quarter
VIT_PATCH_SIZE = 16  # for a ViT whose own patch size does not divide SIDE_MULTIPLE
BUILD_ERRORS = (RuntimeError, AttributeError, TypeError, AssertionError)  # raised by timm for models without features


class TimmEncoder(nn.Module):
    """Maps normalized images (B, 3, H, W) to feature maps at strides of 4 and more, finest first.

    A plain ViT gives the maps of VIT_MAPS blocks, all of the stride of its patches.
    channels, strides: of each feature map.
    """

    def __init__(self, name: str, weights: str, *, freezes_bn: bool = True) -> None:
        """weights: auto, none, or a file. freezes_bn: as in load_pretrained.

        Raises ConfigError: not a model with several strides. Otherwise as load_pretrained.
        """
        super().__init__()
        check_known(name)
        cfg = timm.get_pretrained_cfg(name, allow_unregistered=True)
        if cfg is not None and cfg.fixed_input_size and not is_plain_vit(name):
            raise ConfigError(f"{name} accepts a single image size, and VOC's images differ: use another --encoder")
        arguments: dict[str, Any] = vit_arguments(name) if is_plain_vit(name) else {}
        try:
            # not on the meta device, which draws no random numbers: runs of one seed would start from other weights
            every_stage = timm.create_model(name, features_only=True, pretrained=False, **arguments)
            strides = every_stage.feature_info.reduction()  # type: ignore[union-attr, operator]
            indices = tuple(index for index, stride in enumerate(strides) if stride >= FINEST_STRIDE)
            if arguments:
                # all blocks: by default timm returns the maps of the last blocks only
                blocks = len(every_stage.feature_info.info)  # type: ignore[union-attr, arg-type]
                indices = tuple(blocks * (part + 1) // VIT_MAPS - 1 for part in range(VIT_MAPS))
            self.backbone = timm.create_model(
                name, features_only=True, pretrained=False, out_indices=indices, **arguments
            )
        except BUILD_ERRORS as error:
            raise _no_features(name, error) from error
        info = self.backbone.feature_info
        self.channels: tuple[int, ...] = tuple(info.channels())  # type: ignore[union-attr, operator]
        self.strides: tuple[int, ...] = tuple(info.reduction())  # type: ignore[union-attr, operator]
        if not arguments and len(set(self.strides)) < len(self.strides):
            raise ConfigError(f"{name} has features at strides {self.strides}, which repeat: use another --encoder")
        load_pretrained(self.backbone, name, weights, arguments, freezes_bn=freezes_bn)

    def forward(self, images: Tensor) -> list[Tensor]:
        features = self.backbone(images)
        if features[0].shape[1] != self.channels[0]:  # Swin-like networks return channels last
            return [feature.permute(0, 3, 1, 2).contiguous() for feature in features]
        return features


@cache
def feature_strides(name: str) -> tuple[int, ...]:
    """Strides of all feature maps of a timm model, finest first. Raises ConfigError: it offers none."""
    try:
        with torch.device("meta"):
            model = timm.create_model(name, features_only=True, pretrained=False)
        return tuple(model.feature_info.reduction())  # type: ignore[union-attr, operator]
    except (*BUILD_ERRORS, NotImplementedError) as error:
        raise _no_features(name, error) from error


def is_plain_vit(name: str) -> bool:
    """Whether all blocks of a timm model have the same stride, that of its patches, as in ViT, DeiT, EVA or AIMv2."""
    try:
        strides = feature_strides(name)
    except ConfigError:
        return False
    return len(strides) > 1 and len(set(strides)) == 1


def vit_arguments(name: str) -> dict[str, Any]:
    """Arguments of timm.create_model for a plain ViT that takes images of any size.

    A ViT with another patch size, such as 14, gets patches of 16 pixels; timm resamples its pretrained patch embedding.
    """
    arguments: dict[str, Any] = {"dynamic_img_size": True}
    if SIDE_MULTIPLE % feature_strides(name)[0] != 0:
        arguments["patch_size"] = VIT_PATCH_SIZE
    return arguments


def _no_features(name: str, error: Exception) -> ConfigError:
    reason = str(error).split("\n")[0][:120]
    return ConfigError(f"{name} offers no features to a decoder: use another --encoder ({reason})")


def check_known(name: str) -> None:
    """Raise ConfigError, with the closest name, if timm has no such model."""
    if not timm.is_model(name):
        raise ConfigError(f"timm has no model {name!r}{did_you_mean(name, timm.list_models())}")
