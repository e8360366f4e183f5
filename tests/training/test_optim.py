"""Learning rate and weight decay of each parameter, the optimizers, and one optimizer step with clipping."""

from dataclasses import replace
from typing import get_args

import pytest
import timm
import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import SGD, AdamW

from vocctl.config import ClsModelConfig, GeneratorConfig, ModelConfig
from vocctl.config.training import Optimizer, ProbeOptimConfig
from vocctl.models.adversary import Adversary
from vocctl.models.classifier import Classifier
from vocctl.models.segmenter import Segmenter
from vocctl.training.optim import build_optimizer, clip_and_step, param_groups, set_lr

CONFIG = ProbeOptimConfig(lr=0.5, encoder_lr=0.1, weight_decay=0.2)


def network() -> nn.ModuleDict:
    block = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    return nn.ModuleDict({"encoder": block, "head": nn.Conv2d(4, 2, 1)})


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    scales = {name: CONFIG.encoder_lr if name.startswith("encoder") else 1.0 for name, _ in model.named_parameters()}
    return build_optimizer(model, scales, CONFIG)


def settings(model: nn.Module, lr_scales: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Peak learning rate and weight decay by the parameter's name; each parameter is in one group."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = build_optimizer(model, lr_scales, CONFIG).param_groups
    rows = [(names[id(p)], (group["peak_lr"], group["weight_decay"])) for group in groups for p in group["params"]]
    assert len(rows) == len(dict(rows))
    return dict(rows)


def test_norms_and_biases_are_not_decayed():
    scales = {name: 0.1 if name.startswith("encoder") else 1.0 for name, _ in network().named_parameters()}
    assert settings(network(), scales) == {
        "encoder.0.weight": (0.05, 0.2),
        "encoder.0.bias": (0.05, 0.0),
        "encoder.1.weight": (0.05, 0.0),
        "encoder.1.bias": (0.05, 0.0),
        "head.weight": (0.5, 0.2),
        "head.bias": (0.5, 0.0),
    }


def is_matrix(model: nn.Module, name: str) -> bool:
    return model.get_parameter(name).ndim > 1


@pytest.mark.parametrize("encoder", ["tf_efficientnet_lite0", "scratch"])
def test_segmenters(encoder):
    model = Segmenter(ModelConfig(encoder=encoder, weights="none"))
    assert settings(model, model.lr_scales(0.3)) == {
        name: (0.5 * (0.3 if name.startswith("backbone.encoder.") else 1.0), 0.2 if is_matrix(model, name) else 0.0)
        for name, _ in model.named_parameters()
    }


@pytest.mark.parametrize(
    ("name", "head"), [("tf_efficientnet_lite0", "backbone.classifier."), ("scratch", "backbone.fc.")]
)
def test_classifiers(name, head):
    model = Classifier(ClsModelConfig(model=name, weights="none"), 64)
    assert settings(model, model.lr_scales(0.3, 1.0, head_lr_scale=0.8)) == {
        name: (0.5 * (0.8 if name.startswith(head) else 0.3), 0.2 if is_matrix(model, name) else 0.0)
        for name, _ in model.named_parameters()
    }


def test_layer_decay_of_the_plain_cnn():
    model = Classifier(ClsModelConfig(model="scratch"), 64)
    rates = {name: lr for name, (lr, _) in settings(model, model.lr_scales(0.3, 0.5, head_lr_scale=0.8)).items()}
    for stage in range(5):  # the head is layer 5: stage s is 5 - s layers below it
        assert rates[f"backbone.encoder.stages.{stage}.0.0.weight"] == pytest.approx(0.5 * 0.3 * 0.5 ** (5 - stage))
    assert rates["backbone.fc.weight"] == 0.5 * 0.8


@pytest.mark.parametrize("generator", ["pretrained", "unet", "resnet"])
def test_adversaries(generator):
    model = Adversary(GeneratorConfig(generator=generator, width=4, weights="none"), "linf", 0.1, 32)
    scales = {"universal.raw": 250, "generator.gated.universal.raw": 250}
    scales |= {"generator.gated.gate.weight": 5, "generator.gated.gate.bias": 5}
    assert settings(model, model.lr_scales()) == {
        name: (0.5 * scales.get(name, 1), 0.2 if is_matrix(model, name) else 0.0)
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def test_a_vit_excludes_position_embedding_and_class_token_from_weight_decay():
    model = Segmenter(ModelConfig(encoder="vit_tiny_patch16_224", decoder="dpt", weights="none"))
    vit = "backbone.encoder.model"
    decay = {name: weight_decay for name, (_, weight_decay) in settings(model, model.lr_scales()).items()}
    assert decay[f"{vit}.blocks.0.attn.qkv.weight"] == 0.2
    excluded = {name for name, value in decay.items() if value == 0 and is_matrix(model, name)}
    assert excluded == {f"{vit}.pos_embed", f"{vit}.cls_token"}


def test_a_decoder_outside_the_vit_keeps_its_weight_decay():
    model = nn.ModuleDict({"vit": timm.create_model("vit_tiny_patch16_224"), "pos_embed": nn.Linear(2, 2)})
    assert settings(model, dict.fromkeys(dict(model.named_parameters()), 1.0))["pos_embed.weight"] == (0.5, 0.2)


def test_frozen_parameters_and_empty_groups_are_left_out():
    model = network()
    model["encoder"].requires_grad_(False)
    groups = optimizer_of(model).param_groups
    assert sorted(group["params"][0].ndim for group in groups) == [1, 4]
    assert {id(p) for group in groups for p in group["params"]} == {id(p) for p in model["head"].parameters()}


def test_set_lr_multiplies_each_peak():
    model = network()
    optimizer = optimizer_of(model)
    for factor in (0.5, 0.1):  # of the peak, not of the current rate
        assert set_lr(optimizer, factor) == pytest.approx(0.5 * factor)
        assert sorted(group["lr"] for group in optimizer.param_groups) == pytest.approx(
            [0.05 * factor, 0.05 * factor, 0.5 * factor, 0.5 * factor]
        )


def test_without_gradients_only_weight_decay_changes_the_weights():
    model = network()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = optimizer_of(model)
    set_lr(optimizer, 1.0)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    # AdamW multiplies by 1 - lr * weight_decay
    factors = {"encoder.0.weight": 1 - 0.05 * 0.2, "head.weight": 1 - 0.5 * 0.2}
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter, before[name] * factors.get(name, 1.0)), name


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 4) -> list[torch.Tensor]:
    """Weights after a few steps on random pixels, with a learning rate that changes."""
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        set_lr(optimizer, 0.01 * (step + 1))
        images = torch.rand(2, 3, 5, 5, generator=generator)
        model["head"](model["encoder"](images)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return [parameter.detach() for parameter in model.parameters()]


def seeded_network() -> nn.ModuleDict:
    torch.manual_seed(0)
    return network()


def scales_of(model: nn.Module, encoder: float) -> dict[str, float]:
    return {name: encoder if name.startswith("encoder") else 1.0 for name, _ in model.named_parameters()}


def test_adamw_equals_torchs_bit_for_bit():
    model, reference = seeded_network(), seeded_network()
    groups = param_groups(reference, scales_of(reference, 0.1), CONFIG)
    weights = train(model, build_optimizer(model, scales_of(model, 0.1), CONFIG))
    expected = train(reference, AdamW(groups, lr=CONFIG.lr, fused=True))
    assert all(torch.equal(left, right) for left, right in zip(weights, expected, strict=True))


def test_sgd_by_hand():
    weight = nn.Parameter(torch.zeros(1))
    model = nn.ParameterDict({"weight": weight})
    optimizer = build_optimizer(model, {"weight": 1.0}, replace(CONFIG, optimizer="sgd"))
    steps = []
    for _ in range(2):
        before, weight.grad = weight.item(), torch.ones(1)
        optimizer.step()
        steps.append(before - weight.item())
    # the momentum is 1, then .9 + 1 = 1.9; Nesterov's step is the gradient plus .9 times the momentum
    assert steps == pytest.approx([0.5 * (1 + 0.9 * 1), 0.5 * (1 + 0.9 * 1.9)])


@pytest.mark.parametrize("name", get_args(Optimizer))
def test_every_optimizer_follows_the_learning_rate_of_each_group(name):
    model, config = seeded_network(), replace(CONFIG, optimizer=name)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    train(model, build_optimizer(model, scales_of(model, 0.0), config))
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == {"head.weight", "head.bias"}


def test_lamb_leaves_clipping_to_clip_norm():
    weight = nn.Parameter(torch.zeros(4))
    optimizer = build_optimizer(
        nn.ParameterDict({"weight": weight}), {"weight": 1.0}, replace(CONFIG, optimizer="lamb")
    )
    weight.grad = torch.full((4,), 50.0)  # norm 100
    optimizer.step()
    assert torch.allclose(optimizer.state[weight]["exp_avg"], torch.full((4,), 5.0))  # (1 - beta_1) times the gradient


def weight_after_step(gradient: tuple[float, float], clip_norm: float) -> list[float]:
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor(gradient)
    clip_and_step(Accelerator(cpu=True), SGD([weight], lr=1.0), [weight], clip_norm)
    assert weight.grad is None
    return weight.tolist()


def test_clipping_by_hand():
    assert weight_after_step((3.0, 4.0), clip_norm=1.0) == pytest.approx([-0.6, -0.8], rel=1e-4)  # its norm is 5
    assert weight_after_step((0.3, 0.4), clip_norm=1.0) == pytest.approx([-0.3, -0.4])
    assert weight_after_step((3.0, 4.0), clip_norm=0.0) == pytest.approx([-3, -4])
