"""The adversary keeps its budget by construction, at any size."""

import pytest
import torch

from vocctl.config import GeneratorConfig
from vocctl.models.adversary import (
    ATTACK_TANH_GAIN,
    GATE_LR_SCALE,
    NUM_GATED,
    UNIVERSAL_LR_SCALE,
    Adversary,
    GatedPerturbations,
)
from vocctl.models.input_resize import resize_differentiable


def random_images(height: int, width: int) -> torch.Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(64, 64), (37, 50)])
@pytest.mark.parametrize(
    "kind",
    [
        {"generator": "pretrained", "weights": "none"},
        {"generator": "unet", "depth": 2},
        {"generator": "resnet", "depth": 2},
        {"universal": True},
    ],
)
def test_the_budget_holds_by_construction(kind: dict, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    images = random_images(*size)
    linf = Adversary(GeneratorConfig(width=4, **kind), "linf", 8 / 255, 32).eval()
    adv = linf(images)
    assert adv.shape == images.shape
    assert (adv - images).abs().max() <= 8 / 255 + 1e-6
    assert (linf(images, epsilon=2 / 255) - images).abs().max() <= 2 / 255 + 1e-6
    assert adv.min() >= 0
    assert adv.max() <= 1
    l2 = Adversary(GeneratorConfig(width=4, **kind), "l2", 1.0, 32).eval()
    assert (l2.perturbation(images, 1.0)).flatten(1).norm(dim=1).max() <= 1 + 1e-5


def test_a_pretrained_encoder_stays_as_it_was():
    """Its weights and its batch norms' statistics, while the rest of the generator learns."""
    torch.manual_seed(0)
    model = Adversary(GeneratorConfig(width=4, generator="pretrained"), "linf", 8 / 255, 32).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    for _ in range(2):  # the last layer begins at 0: those below it learn from the second step on
        model(random_images(64, 64)).square().sum().backward()
        optimizer.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert not any(name.startswith("generator.encoder") for name in changed)
    learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert {name for name in learning if name in changed} == set(learning)


@pytest.mark.parametrize("size", [(100, 120), (375, 500)])
def test_what_a_model_sees_of_a_image_of_any_size_is_what_was_trained(size: tuple[int, int]) -> None:
    """The perturbation of a image, fitted as its target fits it, is that of the fitted image, but for some blur."""
    torch.manual_seed(0)
    model = Adversary(GeneratorConfig(generator="unet", width=4, depth=1), "linf", 0.1, 64).eval()
    torch.nn.init.normal_(model.generator.last.weight, std=0.5)
    coarse = torch.nn.functional.interpolate(torch.randn(1, 3, 16, 16), size=(64, 64), mode="bilinear")
    model.universal.raw.data.copy_(coarse)
    own = random_images(*size)
    as_seen, trained = (
        resize_differentiable(model.perturbation(own, 0.1), 64),
        model.perturbation(resize_differentiable(own, 64), 0.1),
    )
    assert as_seen.shape == trained.shape
    assert (as_seen - trained).abs().mean() < 0.3 * trained.abs().mean()


@pytest.mark.parametrize("generator", ["pretrained", "unet", "resnet"])
def test_a_network_begins_with_what_all_images_share(generator: str) -> None:
    model = Adversary(GeneratorConfig(generator=generator, width=4, weights="none"), "linf", 0.1, 32).eval()
    mixture = model.generator.gated.universal.raw.data
    assert not torch.equal(*model.perturbation(random_images(32, 32), 0.1))
    mixture.zero_()
    change = model.perturbation(random_images(32, 32), 0.1)
    assert torch.equal(change[0], change[1])
    assert change[0].std() > 0
    scales = model.lr_scales()
    assert scales.keys() == dict(model.named_parameters()).keys()
    assert scales["universal.raw"] == scales["backbone.gated.universal.raw"] == UNIVERSAL_LR_SCALE
    assert scales["backbone.gated.gate.weight"] == scales["backbone.gated.gate.bias"] == GATE_LR_SCALE
    assert scales["backbone.last.weight"] == 1


def test_each_place_takes_its_own_mixture():
    """A gate that is sure of one perturbation at each place shows it there, repeated beyond the crops' side."""
    mixture = GatedPerturbations(channels=NUM_GATED, side=16).eval()
    mixture.gate.weight.data.copy_(1000 * torch.eye(NUM_GATED)[:, :, None, None])
    mixture.gate.bias.data.zero_()
    chosen = torch.randint(0, NUM_GATED, (2, 3, 5), generator=torch.Generator().manual_seed(0))
    features = torch.nn.functional.one_hot(chosen, NUM_GATED).permute(0, 3, 1, 2).float()
    mixed = mixture(features, torch.zeros(2, 3, 24, 40))
    every = mixture.universal(24, 40)
    assert mixed.shape == (2, 3, 24, 40)
    for image, row, column in ((0, 0, 0), (0, 2, 4), (1, 1, 3)):
        cell = (..., slice(8 * row, 8 * row + 8), slice(8 * column, 8 * column + 8))
        assert torch.allclose(mixed[image][cell], every[chosen[image, row, column]][cell], atol=1e-6)
    assert torch.equal(every[..., :8, 16:24], every[..., 16:24, :8])
    even = mixture(torch.zeros(1, NUM_GATED, 3, 5), torch.zeros(1, 3, 24, 40))
    assert torch.allclose(even[0], every.mean(0), atol=1e-6)


def test_an_attack_uses_more_of_its_budget_than_training():
    model = Adversary(GeneratorConfig(universal=True), "linf", 0.1, 16)
    trained, used = (
        model.perturbation(random_images(16, 16), 0.1),
        model.eval().perturbation(random_images(16, 16), 0.1),
    )
    assert (used.abs() >= trained.abs()).all()
    assert used.abs().max() <= 0.1
    assert torch.allclose((used / 0.1).atanh(), ATTACK_TANH_GAIN * (trained / 0.1).atanh(), rtol=1e-3)


def test_a_universal_perturbation_is_the_same_for_every_image():
    model = Adversary(GeneratorConfig(universal=True), "linf", 0.1, 16)
    change = model.perturbation(random_images(16, 16), 0.1)
    assert torch.equal(change[0], change[1])
