"""The adversary keeps its budget by construction, at any size."""

import pytest
import torch

from vocctl.config import GeneratorConfig
from vocctl.models.adversary import (
    ATTACK_TANH_GAIN,
    NUM_GATED,
    Adversary,
    GatedPerturbations,
)
from vocctl.models.input_resize import resize_differentiable


def random_images(height: int, width: int) -> torch.Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(64, 64), (37, 50)])
@pytest.mark.parametrize(
    "settings",
    [
        {"generator": "pretrained", "weights": "none"},
        {"generator": "unet", "depth": 2},
        {"generator": "resnet", "depth": 2},
        {"universal": True},
    ],
)
def test_perturbations_are_within_the_budget_by_construction(settings: dict, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    images = random_images(*size)
    linf = Adversary(GeneratorConfig(width=4, **settings), "linf", 8 / 255, 32).eval()
    adv = linf(images)
    assert adv.shape == images.shape
    assert (adv - images).abs().max() <= 8 / 255 + 1e-6
    assert (linf(images, epsilon=2 / 255) - images).abs().max() <= 2 / 255 + 1e-6
    assert adv.min() >= 0
    assert adv.max() <= 1
    l2 = Adversary(GeneratorConfig(width=4, **settings), "l2", 1.0, 32).eval()
    assert (l2.perturbation(images, 1.0)).flatten(1).norm(dim=1).max() <= 1 + 1e-5


def test_another_epsilon_scales_linf_and_only_shrinks_l2():
    torch.manual_seed(0)
    images = random_images(64, 64)[:1]
    linf, l2 = (Adversary(GeneratorConfig(universal=True), bound, 1.0, 64).eval() for bound in ("linf", "l2"))
    assert torch.allclose(linf.perturbation(images, 0.2), 2 * linf.perturbation(images, 0.1))
    norm = l2.perturbation(images, 1e6).norm().item()  # of tanh(raw)
    assert norm > 1
    for epsilon, expected in ((0.5 * norm, 0.5 * norm), (2 * norm, norm)):
        assert l2.perturbation(images, epsilon).norm().item() == pytest.approx(expected, rel=1e-5)


def test_a_pretrained_encoder_is_frozen():
    """Its weights and its batch norms' statistics stay, while every other parameter changes."""
    torch.manual_seed(0)
    model = Adversary(GeneratorConfig(width=4, generator="pretrained"), "linf", 8 / 255, 32).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    for _ in range(2):  # the last layer starts at 0: the layers below it learn from the second step on
        model(random_images(64, 64)).square().sum().backward()
        optimizer.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert not any(name.startswith("generator.encoder") for name in changed)
    learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert {name for name in learning if name in changed} == set(learning)


@pytest.mark.parametrize("size", [(100, 120), (375, 500)])
def test_a_resized_perturbation_is_that_of_the_resized_image(size: tuple[int, int]) -> None:
    """A victim resizes the adversarial image: it gets the perturbation of the training size, except for some blur."""
    torch.manual_seed(0)
    model = Adversary(GeneratorConfig(generator="unet", width=4, depth=1), "linf", 0.1, 64).eval()
    torch.nn.init.normal_(model.generator.last.weight, std=0.5)
    coarse = torch.nn.functional.interpolate(torch.randn(1, 3, 16, 16), size=(64, 64), mode="bilinear")
    model.universal.raw.data.copy_(coarse)
    images = random_images(*size)
    resized, expected = (
        resize_differentiable(model.perturbation(images, 0.1), 64),
        model.perturbation(resize_differentiable(images, 64), 0.1),
    )
    assert resized.shape == expected.shape
    assert (resized - expected).abs().mean() < 0.3 * expected.abs().mean()


@pytest.mark.parametrize("generator", ["pretrained", "unet", "resnet"])
def test_a_generator_starts_with_the_universal_perturbations(generator: str) -> None:
    model = Adversary(GeneratorConfig(generator=generator, width=4, weights="none"), "linf", 0.1, 32).eval()
    gated = model.generator.gated.universal.raw.data
    assert not torch.equal(*model.perturbation(random_images(32, 32), 0.1))
    gated.zero_()
    change = model.perturbation(random_images(32, 32), 0.1)
    assert torch.equal(change[0], change[1])
    assert change[0].std() > 0


def test_each_position_gets_its_own_mixture():
    """Where the gate gives one perturbation all the weight, that one is used, tiled beyond the side of the crops."""
    gated = GatedPerturbations(channels=NUM_GATED, side=16).eval()
    gated.gate.weight.data.copy_(1000 * torch.eye(NUM_GATED)[:, :, None, None])
    gated.gate.bias.data.zero_()
    index = torch.randint(0, NUM_GATED, (2, 3, 5), generator=torch.Generator().manual_seed(0))
    features = torch.nn.functional.one_hot(index, NUM_GATED).permute(0, 3, 1, 2).float()
    mixture = gated(features, torch.zeros(2, 3, 24, 40))
    tiled = gated.universal(24, 40)
    assert mixture.shape == (2, 3, 24, 40)
    for image, row, column in ((0, 0, 0), (0, 2, 4), (1, 1, 3)):
        cell = (..., slice(8 * row, 8 * row + 8), slice(8 * column, 8 * column + 8))
        assert torch.allclose(mixture[image][cell], tiled[index[image, row, column]][cell], atol=1e-6)
    assert torch.equal(tiled[..., :8, 16:24], tiled[..., 16:24, :8])
    even = gated(torch.zeros(1, NUM_GATED, 3, 5), torch.zeros(1, 3, 24, 40))
    assert torch.allclose(even[0], tiled.mean(0), atol=1e-6)


def test_an_attack_uses_more_of_the_budget_than_training():
    model = Adversary(GeneratorConfig(universal=True), "linf", 0.1, 16)
    in_training, in_attack = (
        model.perturbation(random_images(16, 16), 0.1),
        model.eval().perturbation(random_images(16, 16), 0.1),
    )
    assert (in_attack.abs() >= in_training.abs()).all()
    assert in_attack.abs().max() <= 0.1
    assert torch.allclose((in_attack / 0.1).atanh(), ATTACK_TANH_GAIN * (in_training / 0.1).atanh(), rtol=1e-3)


def test_a_universal_perturbation_is_the_same_for_every_image():
    model = Adversary(GeneratorConfig(universal=True), "linf", 0.1, 16)
    change = model.perturbation(random_images(16, 16), 0.1)
    assert torch.equal(change[0], change[1])
