"""Learning rate and weight decay of each parameter, the optimizer, and one optimizer step with gradient clipping.

The learning rate of a parameter is lr * lr_scale * lr_factor: lr is --lr; lr_scale comes from the model's lr_scales
method; lr_factor follows the progress of the training (schedule.py). trainer.py calls set_lr before each step.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import Optimizer

from vocctl.config import OptimConfig, TrainClsConfig, TrainSegConfig

# arguments that differ from timm's defaults. LAMB would clip the gradients to a norm of 1, but --clip-norm decides that
ARGUMENTS: dict[str, dict[str, Any]] = {"adamw": {"fused": True}, "lamb": {"max_grad_norm": None}}


def build_optimizer(model: nn.Module, lr_scales: Mapping[str, float], config: OptimConfig) -> Optimizer:
    """Return the optimizer of the trainable parameters; each group has its learning rate after warm-up in "peak_lr".

    lr_scales: for each parameter name, its learning rate as a multiple of config.lr. timm's names: adamw and sgd, with
    Nesterov momentum of 0.9, are torch's; nadamw, lamb and lion are timm's own.
    """
    from timm.optim import create_optimizer_v2

    groups = param_groups(model, lr_scales, config)
    return create_optimizer_v2(groups, config.optimizer, lr=config.lr, **ARGUMENTS.get(config.optimizer, {}))


def param_groups(model: nn.Module, lr_scales: Mapping[str, float], config: OptimConfig) -> list[dict[str, Any]]:
    """Group the trainable parameters by learning rate and weight decay.

    timm decides which parameters decay: not biases and norms, nor what the model itself excludes, such as a ViT's
    pos_embed.
    """
    from timm.optim import param_groups_weight_decay

    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for decay_group in param_groups_weight_decay(
        model, config.weight_decay, no_weight_decay_list=no_weight_decay_names(model)
    ):
        for parameter in decay_group["params"]:
            lr_scale = lr_scales[names[id(parameter)]]
            group = groups.setdefault((lr_scale, decay_group["weight_decay"]), {"params": []})
            group["params"].append(parameter)
    return [
        group | {"weight_decay": weight_decay, "lr_scale": lr_scale, "peak_lr": config.lr * lr_scale}
        for (lr_scale, weight_decay), group in groups.items()
    ]


def no_weight_decay_names(model: nn.Module) -> set[str]:
    """The parameters that timm models inside the model exclude from weight decay."""
    names = set()
    for prefix, module in model.named_modules():
        if callable(excluded := getattr(module, "no_weight_decay", None)):
            names |= {f"{prefix}.{name}" if prefix else name for name in excluded()}
    return names


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
        group["lr"] = group["peak_lr"] * factor
    return max(group["lr"] for group in optimizer.param_groups)


def clip_and_step(
    accelerator: Accelerator, optimizer: Optimizer, parameters: Iterable[torch.Tensor], clip_norm: float
) -> None:
    """Clip the gradients to an L2 norm of clip_norm (0: off), take one optimizer step, clear the gradients."""
    if clip_norm > 0:
        accelerator.clip_grad_norm_(parameters, clip_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
