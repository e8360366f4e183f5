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

    A model that takes one size alone gets photos stretched to it; a ViT gets sides that its patches divide.
    """

    def __init__(self, config: ClsModelConfig, size: int) -> None:
        """size: of the training crops, which a model of one size is built for. Raises as load_classifier does."""
        super().__init__()
        self.side: int | None = None  # the one side that the model takes
        self.patch = 1  # what its sides are multiples of
        self.keeps_statistics = False  # batch norms stay as they were trained, also while the rest learns
        if config.model == "scratch":
            self.normalize = Normalize((0.5,) * 3, (0.25,) * 3)
            self.body: nn.Module = ScratchClassifier(len(CLASSES))
            return
        refuse_unknown(config.model)
        self.normalize = Normalize(*pixel_statistics(config.model))
        self.body, self.side, self.patch = _timm_classifier(config.model, size)
        load_classifier(self.body, config.model, config.weights)

    def forward(self, images: Tensor) -> Tensor:
        return self.body(self._seen(images)).float()

    def features(self, images: Tensor) -> Tensor:
        """The body's last features before pooling: (B, D, h, w), or (B, N, D) of a transformer."""
        return self.with_features(images)[1]

    def with_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What forward gives, and features, in one pass."""
        found = self.body.forward_features(self._seen(images))  # type: ignore[operator]
        deepest: Tensor = found[-1] if isinstance(found, list) else found  # of efficientvim a map comes last
        return self.body.forward_head(found).float(), deepest  # type: ignore[operator]

    def _seen(self, images: Tensor) -> Tensor:
        x = self.normalize(images)
        fitted = [self.side or -(-side // self.patch) * self.patch for side in images.shape[-2:]]
        if fitted != list(images.shape[-2:]):
            x = F.interpolate(x, size=fitted, mode="bilinear", align_corners=False, antialias=True)
        return x

    def layers(self, body_rate: float, layer_decay: float, *, head_rate: float = 1.0) -> list[Layer]:
        """The head, then the body's layers from the top down, each layer_decay times the rate of the one above."""
        head = {id(parameter) for parameter in _head(self.body)}
        depth = group_parameters(self.body, self.body.group_matcher(), reverse=True)  # type: ignore[operator]
        deepest = max(depth.values())
        rates: dict[float, list[nn.Parameter]] = {}
        for name, parameter in self.body.named_parameters():
            rate = head_rate if id(parameter) in head else body_rate * layer_decay ** (deepest - depth[name])
            rates.setdefault(rate, []).append(parameter)
        return [(parameters, rate) for rate, parameters in sorted(rates.items(), reverse=True)]

    @property
    def head(self) -> nn.Linear | None:
        """What turns features into logits; None where that is no linear layer."""
        head = self.body.get_classifier()  # type: ignore[operator]
        return head if isinstance(head, nn.Linear) else None

    def freeze_body(self, frozen: bool) -> None:
        """Whether the head alone learns; a frozen body keeps its batch norms' statistics too."""
        head = {id(parameter) for parameter in _head(self.body)}
        for parameter in self.body.parameters():
            parameter.requires_grad_(not frozen or id(parameter) in head)
        self.body.train(self.training and not frozen)
        self._keep_statistics()

    def train(self, mode: bool = True) -> "Classifier":
        super().train(mode)
        self._keep_statistics()
        return self

    def _keep_statistics(self) -> None:
        if self.keeps_statistics:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()


def _head(body: nn.Module) -> Iterator[nn.Parameter]:
    head = body.get_classifier()  # type: ignore[operator]
    for module in head if isinstance(head, Iterable) else (head,):
        yield from module.parameters()


def _patch(body: nn.Module) -> int:
    """Pixels to a side of a ViT's patches."""
    return int(body.patch_embed.patch_size[0]) if hasattr(body, "patch_embed") else 1  # type: ignore[union-attr, index]


def _timm_classifier(name: str, size: int) -> tuple[nn.Module, int | None, int]:
    """The model with 20 outputs; the one side that it takes, None where it takes any; what its sides are multiples of."""
    about = timm.get_pretrained_cfg(name, allow_unregistered=True)
    attempts: list[tuple[dict[str, Any], int | None]] = [({}, None)]
    if about is not None and about.fixed_input_size:
        attempts = [({"dynamic_img_size": True}, None), ({"img_size": size}, size), ({}, about.input_size[-1])]
    for arguments, side in attempts:
        try:
            body = timm.create_model(name, num_classes=len(CLASSES), pretrained=False, **arguments)
            return body, side, _patch(body) if "dynamic_img_size" in arguments else 1
        except TypeError as error:  # the argument is not one of this family's
            refused: Exception = error
        except (RuntimeError, ValueError, AssertionError) as error:
            refused = error
            break
    reason = str(refused).split("\n")[0][:120]
    raise ConfigError(f"{name} can't be built with 20 classes at {size} px: take another --model or --size ({reason})")
