"""A classifier: images in [0, 1] in, logits of the 20 classes out. Any timm model, or our plain CNN."""

from collections.abc import Iterable, Iterator
from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.optim import param_groups_layer_decay
from torch import Tensor, nn

from vocctl.config import ClsModelConfig
from vocctl.errors import ConfigError
from vocctl.labels import CLASSES
from vocctl.models.batch_norm import fold_batch_norms, freeze_statistics
from vocctl.models.encoder import check_known
from vocctl.models.mask_evidence import MaskEvidence, can_give_evidence
from vocctl.models.normalize import Normalize
from vocctl.models.plain_cnn import PlainClassifier
from vocctl.models.weights import load_pretrained as load_weights
from vocctl.models.weights import pixel_statistics

FREE_UNIT = 32  # pixels by which the sides of a tested image differ, for models without patches


class Classifier(nn.Module):
    """Maps images (B, 3, H, W) in [0, 1] of any size to logits (B, 20) float32.

    Images are resized for a model with a fixed input size; for a ViT their sides become multiples of its patch size.
    """

    def __init__(self, config: ClsModelConfig, size: int, *, load_pretrained: bool = True) -> None:
        """size: side of the training crops, for which a model with a fixed input size is built.

        load_pretrained: False if other weights are about to be loaded.

        Raises ConfigError: the model cannot be built. Otherwise as load_pretrained.
        """
        super().__init__()
        self.freezes_bn = config.freeze_bn and config.pretrained
        self.input_side: int | None = None  # of a model with a fixed input size
        self.side_multiple = 1
        self.evidence: MaskEvidence | None = None
        if config.model == "scratch":
            self.normalize = Normalize((0.5,) * 3, (0.25,) * 3)
            self.backbone: nn.Module = PlainClassifier(len(CLASSES))
            return
        check_known(config.model)
        self.normalize = Normalize(*pixel_statistics(config.model))
        self.backbone, arguments, self.input_side = _timm_classifier(config.model, size)
        if "dynamic_img_size" in arguments:
            self.side_multiple = _patch_size(self.backbone)
        weights = config.weights if load_pretrained else "none"
        load_weights(self.backbone, config.model, weights, arguments, freezes_bn=config.freeze_bn)
        if self.freezes_bn:
            fold_batch_norms(self.backbone.eval(), self.input_side)
        if config.uses_mask_evidence and self.head is not None and can_give_evidence(self.backbone):
            self.evidence = MaskEvidence(self.backbone)

    def forward(self, images: Tensor) -> Tensor:
        """Instead of images: the head's inputs (B, D), as feature_maps returns them."""
        if images.ndim == 2 and self.head is not None:
            return self.head(images).float()
        if self.evidence is None:
            return self.backbone(self._preprocess(images)).float()
        return self._outputs(images)[0]

    def feature_maps(self, images: Tensor) -> list[Tensor]:
        """The maps that the mask evidence reads, if there is one, and the inputs of the linear head as a last one (B, D, 1, 1).

        Raises RuntimeError for a model whose head is not linear.
        """
        if self.head is None:
            raise RuntimeError("the model does not end in a linear layer")
        inputs: list[Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda head, arguments: inputs.append(arguments[0]))
        try:
            _, _, maps = self._outputs(images)
        finally:
            hook.remove()
        return [*maps, inputs[0][:, :, None, None]]

    def encoder_state(self) -> dict[str, Tensor]:
        """The tensors that decide the feature maps, by name."""
        trained = ("evidence.", *(f"{name}." for name, module in self.named_modules() if module is self.head))
        return {name: tensor for name, tensor in self.state_dict().items() if not name.startswith(trained)}

    def features(self, images: Tensor) -> Tensor:
        """The last features before pooling: (B, D, h, w), or (B, N, D) of a transformer."""
        return self.forward_with_features(images)[1]

    def forward_with_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The logits, and the features as above, in one pass."""
        logits, features, _ = self._outputs(images)
        return logits, features

    def _outputs(self, images: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The logits, the last features before pooling, and the maps that the mask evidence reads."""
        x, maps = self._preprocess(images), []
        if self.evidence is None:
            output = self.backbone.forward_features(x)  # type: ignore[operator]
        else:
            output, maps = self.backbone.forward_intermediates(x, indices=self.evidence.indices)  # type: ignore[operator]
        logits = self.backbone.forward_head(output).float()  # type: ignore[operator]
        if self.evidence is not None:
            logits = (logits + self.evidence(maps)) / 2
        features: Tensor = output[-1] if isinstance(output, list) else output  # EfficientViM returns several maps
        return logits, features, maps

    def _preprocess(self, images: Tensor) -> Tensor:
        x = self.normalize(images)
        sides = [self.input_side or -(-side // self.side_multiple) * self.side_multiple for side in images.shape[-2:]]
        if sides != list(images.shape[-2:]):
            x = F.interpolate(x, size=sides, mode="bilinear", align_corners=False, antialias=True)
        return x

    def lr_scales(
        self, backbone_lr_scale: float = 1.0, layer_decay: float = 1.0, *, head_lr_scale: float = 1.0
    ) -> dict[str, float]:
        """Learning rate of each trainable parameter as a multiple of --lr, by its name.

        Layers of the backbone get backbone_lr_scale * layer_decay ** (number of layers above), by timm.optim; the mask
        evidence gets the head's.
        """
        groups = param_groups_layer_decay(self.backbone, layer_decay=layer_decay)
        scales = {id(parameter): group["lr_scale"] for group in groups for parameter in group["params"]}
        scales = {key: backbone_lr_scale * scale for key, scale in scales.items()}
        scales |= {id(parameter): head_lr_scale for parameter in _head_parameters(self.backbone)}
        if self.evidence is not None:
            scales |= {id(parameter): head_lr_scale for parameter in self.evidence.parameters()}
        return {name: scales[id(parameter)] for name, parameter in self.named_parameters() if parameter.requires_grad}

    @property
    def head(self) -> nn.Linear | None:
        """The linear layer that turns features into logits; None if the model does not end in one."""
        head = self.backbone.get_classifier()  # type: ignore[operator]
        return head if isinstance(head, nn.Linear) else None

    def freeze_backbone(self, frozen: bool) -> None:
        """Train the head only, or all layers. A frozen backbone also keeps its batch-norm statistics."""
        head = {id(parameter) for parameter in _head_parameters(self.backbone)}
        for parameter in self.backbone.parameters():
            parameter.requires_grad_(not frozen or id(parameter) in head)
        self.backbone.train(self.training and not frozen)
        if self.freezes_bn:
            freeze_statistics(self.backbone)

    def train(self, mode: bool = True) -> "Classifier":
        super().train(mode)
        if self.freezes_bn:  # those that are folded are no longer there
            freeze_statistics(self.backbone)
        return self


class PooledFeatures(nn.Module):
    """A classifier's encoder whose feature maps are the head's inputs alone, for images without masks."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def feature_maps(self, images: Tensor) -> list[Tensor]:
        return self.classifier.feature_maps(images)[-1:]

    def encoder_state(self) -> dict[str, Tensor]:
        """The tensors that decide the feature maps, and a mark that there is one map only."""
        return self.classifier.encoder_state() | {"one map": torch.ones(1)}


def _head_parameters(backbone: nn.Module) -> Iterator[nn.Parameter]:
    head = backbone.get_classifier()  # type: ignore[operator]
    for module in head if isinstance(head, Iterable) else (head,):
        yield from module.parameters()


def _patch_size(backbone: nn.Module) -> int:
    """Side of a ViT's patches in pixels; 1 for other models."""
    patch_size = getattr(getattr(backbone, "patch_embed", None), "patch_size", (1,))
    return int(patch_size if isinstance(patch_size, int) else patch_size[0])


@torch.inference_mode()
def _size_error(backbone: nn.Module, size: int, side: int | None) -> Exception | None:
    """The model's error for an image of its side or, if that is None, of about size x size but not square; None: it takes it.

    Some models ignore dynamic_img_size and img_size without an error; which ones depends on timm's version.
    """
    patch_size = _patch_size(backbone)
    unit = patch_size if patch_size > 1 else FREE_UNIT
    height = max(unit, size // unit * unit)
    training = backbone.training
    try:
        backbone.eval()(torch.zeros(1, 3, side or height, side or height + unit))
    except (RuntimeError, ValueError, AssertionError) as error:
        return error
    finally:
        backbone.train(training)
    return None


def _timm_classifier(name: str, size: int) -> tuple[nn.Module, dict[str, Any], int | None]:
    """Return the model with 20 outputs, its arguments of timm.create_model, and its input side if that is fixed."""
    cfg = timm.get_pretrained_cfg(name, allow_unregistered=True)
    attempts: list[tuple[dict[str, Any], int | None]] = [({}, None)]
    if cfg is not None and cfg.fixed_input_size:
        attempts = [({"dynamic_img_size": True}, None), ({"img_size": size}, size), ({}, cfg.input_size[-1])]
    for arguments, side in attempts:
        try:
            backbone = timm.create_model(name, num_classes=len(CLASSES), pretrained=False, **arguments)
            error_at_size = _size_error(backbone, size, side) if len(attempts) > 1 else None
            if error_at_size is None:
                return backbone, arguments, side
            last_error: Exception = error_at_size
        except TypeError as error:  # this family of models does not know the argument
            last_error = error
        except (RuntimeError, ValueError, AssertionError) as error:
            last_error = error
            break
    reason = str(last_error).split("\n")[0][:120]
    raise ConfigError(f"{name} cannot be built with 20 classes at {size} px: use another --model or --size ({reason})")
