"""Fold batch norms with fixed statistics into the convolutions before them.

A batch norm in evaluation mode is one multiplication and one addition per channel, which the convolution can do: the
network computes the same function with fewer passes over its feature maps. Fixed statistics also protect
pretrained features in training: the statistics of small batches would move them.
Source of the folded weights: torch.nn.utils.fusion.
"""

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

TOLERANCE = 1e-3  # of the outputs, relative to their largest value
EXAMPLE_SIDE = 96  # pixels, of a model that takes any size


def fold_batch_norms(model: nn.Module, side: int | None = None) -> None:
    """Fold each batch norm that directly follows a convolution, in place; a batch norm elsewhere stays.

    model: maps (B, 3, H, W) to a tensor or a list of tensors; evaluation mode. side: of its input in pixels, if that is
    fixed. A model whose outputs would change is left as it is: it also uses the output of such a convolution elsewhere.
    """
    if not any(isinstance(module, _BatchNorm) for module in model.modules()):
        return
    side = side or EXAMPLE_SIDE
    example = torch.linspace(-1, 1, 3 * side**2, device=next(model.parameters()).device).view(1, 3, side, side)
    with torch.no_grad():
        pairs = _pairs(model, example)
        running_means = [model.get_buffer(f"{name}.running_mean") for _, name in pairs]
        means = [mean.clone() for mean in running_means]
        for mean, (_, name) in zip(running_means, pairs, strict=True):
            # a new norm (mean 0, variance 1) changes little: a wrong fold would not show. A model that is built with random
            # weights before its file is loaded must fold the same norms, or the file would not fit
            mean.add_(model.get_buffer(f"{name}.running_var").sqrt())
        before = _tensors(model(example))
        originals = _fold(model, pairs)
        is_equal = all(map(_equal, before, _tensors(model(example))))
        for name, module in originals.items():
            _replace(model, name, module)
        for running_mean, mean in zip(running_means, means, strict=True):
            running_mean.copy_(mean)
        if is_equal:
            _fold(model, pairs)


def _fold(model: nn.Module, pairs: list[tuple[str, str]]) -> dict[str, nn.Module]:
    """Fold these convolutions and batch norms; return the modules that were replaced, by name."""
    originals: dict[str, nn.Module] = {}
    for conv_name, norm_name in pairs:
        conv, norm = model.get_submodule(conv_name), model.get_submodule(norm_name)
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, _BatchNorm)
        originals |= {conv_name: conv, norm_name: norm}
        # the bias that torch adds to a convolution without one has requires_grad=False, so it would never train
        _replace(model, conv_name, fuse_conv_bn_eval(conv, norm).requires_grad_(conv.weight.requires_grad))
        _replace(model, norm_name, _activation(norm))
    return originals


def freeze_statistics(model: nn.Module) -> None:
    """Put all batch norms into evaluation mode. Call it after each model.train(), which reverts it."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()


def _pairs(model: nn.Module, example: Tensor) -> list[tuple[str, str]]:
    """Names of each convolution and the batch norm that receives its output, both of them called once."""
    conv_of: dict[int, str] = {}  # id of the output -> name
    outputs = []  # kept, so that no id is used again
    calls: Counter[str] = Counter()
    pairs = []

    def after_conv(name: str, output: Tensor) -> None:
        calls[name] += 1
        outputs.append(output)
        conv_of[id(output)] = name

    def before_norm(name: str, tensor: Tensor) -> None:
        calls[name] += 1
        if id(tensor) in conv_of:
            pairs.append((conv_of[id(tensor)], name))

    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(lambda _, inputs, output, name=name: after_conv(name, output)))
        elif isinstance(module, _BatchNorm) and not module.training and module.running_mean is not None:
            hooks.append(module.register_forward_pre_hook(lambda _, inputs, name=name: before_norm(name, inputs[0])))
    try:
        model(example)
    finally:
        for hook in hooks:
            hook.remove()
    return [(conv, norm) for conv, norm in pairs if calls[conv] == calls[norm] == 1]


def _activation(norm: nn.Module) -> nn.Module:
    """What is left of a batch norm: nothing, or the activation inside a timm BatchNormAct2d."""
    kept = [module for name, module in norm.named_children() if name in ("drop", "act")]
    kept = [module for module in kept if not isinstance(module, nn.Identity)]
    return kept[0] if len(kept) == 1 else nn.Sequential(*kept) if kept else nn.Identity()


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)


def _tensors(output: Any) -> list[Tensor]:
    """The tensors of a network's output: one, or nested lists and tuples of them."""
    if isinstance(output, Tensor):
        return [output]
    return [tensor for part in output for tensor in _tensors(part)]


def _equal(first: Tensor, second: Tensor) -> bool:
    if first.is_meta:
        return True
    return bool((first - second).abs().max() <= TOLERANCE * first.abs().max().clamp(min=1e-6))
