"""A classifier: pixels in [0, 1] in, logits of the 20 classes out. Any timm model, or our plain CNN."""

from collections.abc import Iterable, Iterator
from typing import Any

import timm
import torch.nn.functional as F
from timm.models import group_parameters
from torch import Tensor, nn

from vocctl.config import ClsModelConfig
from vocctl.errors import ConfigError
from vocctl.labels import CLASSES
from vocctl.models.encoder import refuse_unknown
from vocctl.models.normalize import Normalize
from vocctl.models.plain_cnn import ScratchClassifier
from vocctl.models.weights import load_classifier, pixel_statistics

Layer = tuple[list[nn.Parameter], float]  # parameters, and their rate as a share of lr


class Classifier(nn.Module):
    """images (B, 3, H, W) in [0, 1], any H and W, to logits (B, 20) float32.

    A model that takes one size alone gets images stretched to it; a ViT gets sides that its patches divide.
    """

    def __init__(self, config: ClsModelConfig, size: int) -> None:
        """size: of the training crops, which a model of one size is built for. Raises as load_classifier does."""
        super().__init__()
        self.side: int | None = None  # the one side that the model takes
        self.patch = 1  # what its sides are multiples of
        self.freeze_bn_stats = False  # batch norms stay as they were trained, also while the rest learns
        if config.model == "scratch":
            self.normalize = Normalize((0.5,) * 3, (0.25,) * 3)
            self.backbone: nn.Module = ScratchClassifier(len(CLASSES))
            return
        refuse_unknown(config.model)
        self.normalize = Normalize(*pixel_statistics(config.model))
        self.backbone, self.side, self.patch = _timm_classifier(config.model, size)
        load_classifier(self.backbone, config.model, config.weights)

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone(self._seen(images)).float()

    def features(self, images: Tensor) -> Tensor:
        """The body's last features before pooling: (B, D, h, w), or (B, N, D) of a transformer."""
        return self.forward_with_features(images)[1]

    def forward_with_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What forward gives, and features, in one pass."""
        found = self.backbone.forward_features(self._seen(images))  # type: ignore[operator]
        deepest: Tensor = found[-1] if isinstance(found, list) else found  # of efficientvim a map comes last
        return self.backbone.forward_head(found).float(), deepest  # type: ignore[operator]

    def _seen(self, images: Tensor) -> Tensor:
        x = self.normalize(images)
        fitted = [self.side or -(-side // self.patch) * self.patch for side in images.shape[-2:]]
        if fitted != list(images.shape[-2:]):
            x = F.interpolate(x, size=fitted, mode="bilinear", align_corners=False, antialias=True)
        return x

    def layers(self, backbone_lr_scale: float, layer_decay: float, *, head_lr_scale: float = 1.0) -> list[Layer]:
        """The head, then the body's layers from the top down, each layer_decay times the rate of the one above."""
        head = {id(parameter) for parameter in _head(self.backbone)}
        depth = group_parameters(self.backbone, self.backbone.group_matcher(), reverse=True)  # type: ignore[operator]
        deepest = max(depth.values())
        rates: dict[float, list[nn.Parameter]] = {}
        for name, parameter in self.backbone.named_parameters():
            rate = (
                head_lr_scale if id(parameter) in head else backbone_lr_scale * layer_decay ** (deepest - depth[name])
            )
            rates.setdefault(rate, []).append(parameter)
        return [(parameters, rate) for rate, parameters in sorted(rates.items(), reverse=True)]

    @property
    def head(self) -> nn.Linear | None:
        """What turns features into logits; None where that is no linear layer."""
        head = self.backbone.get_classifier()  # type: ignore[operator]
        return head if isinstance(head, nn.Linear) else None

    def freeze_backbone(self, frozen: bool) -> None:
        """Whether the head alone learns; a frozen body keeps its batch norms' statistics too."""
        head = {id(parameter) for parameter in _head(self.backbone)}
        for parameter in self.backbone.parameters():
            parameter.requires_grad_(not frozen or id(parameter) in head)
        self.backbone.train(self.training and not frozen)
        self._freeze_bn_stats()

    def train(self, mode: bool = True) -> "Classifier":
        super().train(mode)
        self._freeze_bn_stats()
        return self

    def _freeze_bn_stats(self) -> None:
        if self.freeze_bn_stats:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()


def _head(backbone: nn.Module) -> Iterator[nn.Parameter]:
    head = backbone.get_classifier()  # type: ignore[operator]
    for module in head if isinstance(head, Iterable) else (head,):
        yield from module.parameters()


def _patch(backbone: nn.Module) -> int:
    """Pixels to a side of a ViT's patches."""
    return int(backbone.patch_embed.patch_size[0]) if hasattr(backbone, "patch_embed") else 1  # type: ignore[union-attr, index]


def _timm_classifier(name: str, size: int) -> tuple[nn.Module, int | None, int]:
    """The model with 20 outputs; the one side that it takes, None where it takes any; what its sides are multiples of."""
    about = timm.get_pretrained_cfg(name, allow_unregistered=True)
    attempts: list[tuple[dict[str, Any], int | None]] = [({}, None)]
    if about is not None and about.fixed_input_size:
        attempts = [({"dynamic_img_size": True}, None), ({"img_size": size}, size), ({}, about.input_size[-1])]
    for arguments, side in attempts:
        try:
            backbone = timm.create_model(name, num_classes=len(CLASSES), pretrained=False, **arguments)
            return backbone, side, _patch(backbone) if "dynamic_img_size" in arguments else 1
        except TypeError as error:  # the argument is not one of this family's
            refused: Exception = error
        except (RuntimeError, ValueError, AssertionError) as error:
            refused = error
            break
    reason = str(refused).split("\n")[0][:120]
    raise ConfigError(f"{name} can't be built with 20 classes at {size} px: take another --model or --size ({reason})")
