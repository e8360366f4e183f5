"""Parameter groups, AdamW, and the step with its clipping."""

from collections.abc import Iterable

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import AdamW, Optimizer

from vocctl.config import OptimConfig


def build_optimizer(model: nn.Module, encoder: nn.Module, config: OptimConfig) -> AdamW:
    """AdamW with four groups: encoder and the rest, each with and without weight decay.

    Norms and biases (one dimension or none) don't decay. The encoder's peak rate is lr * encoder_lr; each group keeps its
    own in `peak`.
    """
    in_encoder = {id(parameter) for parameter in encoder.parameters()}
    groups = []
    for rate, inside in ((config.lr * config.encoder_lr, True), (config.lr, False)):
        mine = [p for p in model.parameters() if p.requires_grad and (id(p) in in_encoder) == inside]
        groups.append({"params": [p for p in mine if p.ndim > 1], "peak": rate, "weight_decay": config.weight_decay})
        groups.append({"params": [p for p in mine if p.ndim <= 1], "peak": rate, "weight_decay": 0.0})
    return AdamW([group for group in groups if group["params"]], lr=config.lr, fused=True)


def set_lr(optimizer: Optimizer, factor: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def clip_and_step(
    accelerator: Accelerator, optimizer: Optimizer, parameters: Iterable[torch.Tensor], clip_norm: float
) -> None:
    """One step on the gradients gathered so far, then none are left. clip_norm 0: not clipped."""
    if clip_norm > 0:
        accelerator.clip_grad_norm_(parameters, clip_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
