"""Adversarial training: which images of a batch are attacked, from which random starts, and in which precision."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from vocctl.attacks.steps import random_start
from vocctl.attacks.table import training_attacks
from vocctl.attacks.threat import Threat
from vocctl.config import AdversarialTrainingConfig, TrainClsConfig, TrainSegConfig
from vocctl.errors import ConfigError
from vocctl.training import adversarial
from vocctl.training.adversarial import adversarial_examples, training_attack

THREAT = Threat("linf", 4 / 255)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(3 * 4 * 4, 20))


def batch(size: int) -> tuple[Tensor, Tensor]:
    images = torch.randint(50, 200, (size, 3, 4, 4), generator=torch.Generator().manual_seed(0)) / 255
    return images, torch.ones(size, 20, dtype=torch.long)


def count_attacked(fraction: float, batch_size: int) -> int:
    model, (images, labels) = network(), batch(batch_size)
    config = AdversarialTrainingConfig(adv_train="fgsm", adv_fraction=fraction)
    adv = adversarial_examples(config, model, model)(images, labels)
    assert (adv - images).abs().max() <= THREAT.epsilon + 1e-6
    return int((adv != images).flatten(1).any(1).sum())


@pytest.mark.parametrize(("fraction", "expected"), [(1, 8), (0.5, 4), (0.1, 1), (0.01, 1)])
def test_fraction_of_the_batch_is_attacked(fraction, expected):
    assert count_attacked(fraction, 8) == expected


@pytest.mark.parametrize(("fraction", "expected"), [(0.5, [1, 1, 1, 1]), (0.25, [1, 1, 0, 0]), (0.1, [1, 0, 0, 0])])
def test_processes_together_attack_the_fraction_of_the_global_batch(monkeypatch, fraction, expected):
    """Four processes with two images each: .5, .25 and .1 of eight images."""
    monkeypatch.setattr(adversarial, "world_size", lambda: 4)
    counts = []
    for rank in range(4):
        monkeypatch.setattr(adversarial, "rank", lambda rank=rank: rank)
        counts.append(count_attacked(fraction, 2))
    assert counts == expected


def test_attack_runs_in_evaluation_mode_and_restores_training_mode():
    model, modes = network().train(), []
    model[0].eval()  # a module that stays in evaluation mode during training, as a frozen batch norm does

    def forward(images: Tensor) -> Tensor:
        modes.append(any(module.training for module in model.modules()))
        return model(images)

    config = AdversarialTrainingConfig(adv_train="pgd-2", adv_fraction=1)
    adversarial_examples(config, model, forward)(*batch(2))
    assert modes == [False, False]
    assert [module.training for module in model] == [False, True, True]


def test_plain_training_returns_the_batch():
    images, labels = batch(2)
    assert adversarial_examples(AdversarialTrainingConfig(), network(), network())(images, labels) is images


@pytest.mark.parametrize("name", ["apgd-3", "sea-3", "square-9", "noise", "adv:run"])
def test_attacks_that_are_not_for_training_are_refused(name):
    with pytest.raises(ConfigError, match=f"adversarial training supports {', '.join(training_attacks())}"):
        training_attack(AdversarialTrainingConfig(adv_train=name))


@pytest.mark.parametrize("config", [TrainSegConfig, TrainClsConfig])
def test_fp16_is_refused(config):
    """The gradient of a mean over all pixels of an image has values below the smallest number of fp16."""
    attacked = config(adversarial_training=AdversarialTrainingConfig(adv_train="pgd-3"))
    half_precision = replace(attacked.train, precision="fp16")
    config(train=half_precision)
    with pytest.raises(ConfigError, match="bf16 or fp32"):
        replace(attacked, train=half_precision)


def test_processes_have_different_starts_and_equal_global_generators(monkeypatch):
    """A checkpoint stores the generator state of the first process, and all processes resume from it."""
    monkeypatch.setattr(adversarial, "world_size", lambda: 2)
    monkeypatch.setattr(
        adversarial,
        "run_attack",
        lambda spec, forward, images, goal, threat, generator: random_start(images, THREAT, generator),
    )
    model, first_images, states = network(), [], []
    config = AdversarialTrainingConfig(adv_train="pgd-2", adv_fraction=0.75)  # three of four images: two, and one
    for rank in range(2):
        monkeypatch.setattr(adversarial, "rank", lambda rank=rank: rank)
        torch.manual_seed(7)
        adv = adversarial_examples(config, model, model)(*batch(2))
        first_images.append(adv[0])
        states.append(torch.random.get_rng_state())
    assert not torch.equal(*first_images)
    assert torch.equal(*states)
