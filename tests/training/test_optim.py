"""Parameter groups, rates, and one step with its clipping."""

import pytest
import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import SGD

from vocctl.config import OptimConfig
from vocctl.training.optim import build_optimizer, clip_and_step, encoder_and_rest, set_lr

CONFIG = OptimConfig(lr=0.5, encoder_lr=0.1, weight_decay=0.2)


def network() -> nn.ModuleDict:
    block = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    return nn.ModuleDict({"encoder": block, "head": nn.Conv2d(4, 2, 1)})


def layers_of(model: nn.ModuleDict) -> list[tuple[list[nn.Parameter], float]]:
    return encoder_and_rest(model, model["encoder"], CONFIG.encoder_lr)


def names_of(model: nn.Module, group: dict) -> set[str]:
    ids = {id(parameter) for parameter in group["params"]}
    return {name for name, parameter in model.named_parameters() if id(parameter) in ids}


def test_four_groups():
    model = network()
    found = [
        (names_of(model, group), group["peak"], group["weight_decay"])
        for group in build_optimizer(layers_of(model), CONFIG).param_groups
    ]
    assert found == [
        ({"encoder.0.weight"}, 0.05, 0.2),
        ({"encoder.0.bias", "encoder.1.weight", "encoder.1.bias"}, 0.05, 0.0),
        ({"head.weight"}, 0.5, 0.2),
        ({"head.bias"}, 0.5, 0.0),
    ]


def test_every_parameter_once():
    model = network()
    held = [id(p) for group in build_optimizer(layers_of(model), CONFIG).param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in model.parameters())


def test_frozen_parameters_and_empty_groups_are_left_out():
    model = network()
    model["encoder"].requires_grad_(False)
    groups = build_optimizer(layers_of(model), CONFIG).param_groups
    assert [names_of(model, group) for group in groups] == [{"head.weight"}, {"head.bias"}]


def test_set_lr_multiplies_each_peak():
    model = network()
    optimizer = build_optimizer(layers_of(model), CONFIG)
    for factor in (0.5, 0.1):  # from the peak, not from the rate before
        set_lr(optimizer, factor)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx(
            [0.05 * factor, 0.05 * factor, 0.5 * factor, 0.5 * factor]
        )


def test_what_decays_without_a_gradient():
    model = network()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = build_optimizer(layers_of(model), CONFIG)
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
