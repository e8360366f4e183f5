"""Parameter groups, rates, and one step with its clipping."""

import pytest
import timm
import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import SGD

from vocctl.config import OptimConfig
from vocctl.training.optim import build_optimizer, clip_and_step, set_lr

CONFIG = OptimConfig(lr=0.5, encoder_lr=0.1, weight_decay=0.2)


def network() -> nn.ModuleDict:
    block = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    return nn.ModuleDict({"encoder": block, "head": nn.Conv2d(4, 2, 1)})


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    scales = {name: CONFIG.encoder_lr if name.startswith("encoder") else 1.0 for name, _ in model.named_parameters()}
    return build_optimizer(model, scales, CONFIG)


def names_of(model: nn.Module, group: dict) -> set[str]:
    ids = {id(parameter) for parameter in group["params"]}
    return {name for name, parameter in model.named_parameters() if id(parameter) in ids}


def test_four_groups():
    model = network()
    groups = {
        (group["peak"], group["weight_decay"]): names_of(model, group) for group in optimizer_of(model).param_groups
    }
    assert groups == {
        (0.05, 0.2): {"encoder.0.weight"},
        (0.05, 0.0): {"encoder.0.bias", "encoder.1.weight", "encoder.1.bias"},
        (0.5, 0.2): {"head.weight"},
        (0.5, 0.0): {"head.bias"},
    }


def test_a_vit_excludes_its_position_embedding_from_weight_decay():
    model = nn.ModuleDict({"encoder": timm.create_model("vit_tiny_patch16_224", pretrained=False)})
    optimizer = build_optimizer(model, dict.fromkeys(dict(model.named_parameters()), 1.0), CONFIG)
    decaying = {name for group in optimizer.param_groups if group["weight_decay"] for name in names_of(model, group)}
    assert "encoder.blocks.0.attn.qkv.weight" in decaying
    assert not decaying & {"encoder.pos_embed", "encoder.cls_token", "encoder.norm.weight"}


def test_every_parameter_once():
    model = network()
    held = [id(p) for group in optimizer_of(model).param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in model.parameters())


def test_frozen_parameters_and_empty_groups_are_left_out():
    model = network()
    model["encoder"].requires_grad_(False)
    groups = optimizer_of(model).param_groups
    assert {frozenset(names_of(model, group)) for group in groups} == {
        frozenset({"head.weight"}),
        frozenset({"head.bias"}),
    }


def test_set_lr_multiplies_each_peak():
    model = network()
    optimizer = optimizer_of(model)
    for factor in (0.5, 0.1):  # from the peak, not from the rate before
        set_lr(optimizer, factor)
        assert sorted(group["lr"] for group in optimizer.param_groups) == pytest.approx(
            [0.05 * factor, 0.05 * factor, 0.5 * factor, 0.5 * factor]
        )


def test_what_decays_without_a_gradient():
    model = network()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = optimizer_of(model)
    set_lr(optimizer, 1.0)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    # AdamW: times 1 - rate * decay
    kept = {"encoder.0.weight": 1 - 0.05 * 0.2, "head.weight": 1 - 0.5 * 0.2}
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter, before[name] * kept.get(name, 1.0)), name


def weight_after(gradient: tuple[float, float], clip_norm: float) -> list[float]:
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor(gradient)
    clip_and_step(Accelerator(cpu=True), SGD([weight], lr=1.0), [weight], clip_norm)
    assert weight.grad is None
    return weight.tolist()


def test_clipping_by_hand():
    assert weight_after((3.0, 4.0), clip_norm=1.0) == pytest.approx([-0.6, -0.8], rel=1e-4)  # of length 5
    assert weight_after((0.3, 0.4), clip_norm=1.0) == pytest.approx([-0.3, -0.4])
    assert weight_after((3.0, 4.0), clip_norm=0.0) == pytest.approx([-3, -4])
