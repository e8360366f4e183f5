"""Parameter groups, AdamW, and the step with its clipping."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import AdamW, Optimizer

from vocctl.config import OptimConfig, TrainClsConfig, TrainSegConfig

ParamGroups = list[tuple[list[nn.Parameter], float]]  # parameters and their learning rate as a multiple of lr


def build_optimizer(layers: Iterable[tuple[list[nn.Parameter], float]], config: OptimConfig) -> AdamW:
    """AdamW over layers, each with its share of lr as its peak rate, and with and without weight decay.

    Norms and biases (one dimension or none) don't decay. Each group keeps its peak rate in `peak`.
    """
    groups: list[dict[str, Any]] = []
    for held, share in layers:
        mine = [parameter for parameter in held if parameter.requires_grad]
        rate = {"peak": config.lr * share}
        groups.append({"params": [p for p in mine if p.ndim > 1], "weight_decay": config.weight_decay, **rate})
        groups.append({"params": [p for p in mine if p.ndim <= 1], "weight_decay": 0.0, **rate})
    return AdamW([group for group in groups if group["params"]], lr=config.lr, fused=True)


def encoder_and_rest(
    model: nn.Module, encoder: nn.Module, encoder_share: float
) -> list[tuple[list[nn.Parameter], float]]:
    """The layers of a model whose encoder has a rate of its own: encoder_share times that of the rest."""
    inside = {id(parameter) for parameter in encoder.parameters()}
    rest = [parameter for parameter in model.parameters() if id(parameter) not in inside]
    return [(list(encoder.parameters()), encoder_share), (rest, 1.0)]


def encoder_lr_scale(
    config: TrainSegConfig | TrainClsConfig, default: TrainSegConfig | TrainClsConfig, note: Callable[[str], None]
) -> float:
    """Return the pretrained layers' learning rate as a multiple of lr; 1 for a model that is trained from scratch.

    note: receives a line if --encoder-lr was changed and has no effect.
    """
    if config.model.pretrained:
        return config.optim.encoder_lr
    if config.optim.encoder_lr != default.optim.encoder_lr:
        note("--encoder-lr is for pretrained weights: a model trained from scratch uses --lr for all layers")
    return 1.0


def set_lr(optimizer: Optimizer, factor: float) -> float:
    """Set each group's learning rate to factor times its peak. Returns the largest one."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    return max(group["lr"] for group in optimizer.param_groups)


def clip_and_step(
    accelerator: Accelerator, optimizer: Optimizer, parameters: Iterable[torch.Tensor], clip_norm: float
) -> None:
    """One step on the gradients gathered so far, then none are left. clip_norm 0: not clipped."""
    if clip_norm > 0:
        accelerator.clip_grad_norm_(parameters, clip_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
