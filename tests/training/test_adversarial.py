"""Which num_images of a batch adversarial training attacks, from which starts, and in which precision."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from vocctl.attacks.steps import random_start
from vocctl.attacks.threat import Threat
from vocctl.config import AdversarialTrainingConfig, TrainClsConfig, TrainSegConfig
from vocctl.errors import ConfigError
from vocctl.training import adversarial
from vocctl.training.adversarial import adversarial_examples

BALL = Threat("linf", 4 / 255)


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 20))


def batch(num_images: int) -> tuple[Tensor, Tensor]:
    images = torch.randint(50, 200, (num_images, 3, 4, 4), generator=torch.Generator().manual_seed(0)) / 255
    return images, torch.ones(num_images, 20, dtype=torch.long)


def attacked(share: float, num_images: int) -> int:
    network, (images, labels) = model(), batch(num_images)
    changed = adversarial_examples(AdversarialTrainingConfig(adv_train="fgsm", adv_fraction=share), network, network)(
        images, labels
    )
    return int((changed != images).flatten(1).any(1).sum())


@pytest.mark.parametrize(("share", "expected"), [(1, 8), (0.5, 4), (0.1, 1), (0.01, 1)])
def test_a_share_of_the_batch_is_attacked(share, expected):
    assert attacked(share, 8) == expected


@pytest.mark.parametrize(("share", "expected"), [(0.5, [1, 1, 1, 1]), (0.25, [1, 1, 0, 0]), (0.1, [1, 0, 0, 0])])
def test_ranks_share_what_one_process_would_attack(monkeypatch, share, expected):
    monkeypatch.setattr(adversarial, "world_size", lambda: 4)
    counts = []
    for number in range(4):
        monkeypatch.setattr(adversarial, "rank", lambda number=number: number)
        counts.append(attacked(share, 2))
    assert counts == expected


@pytest.mark.parametrize("config", [TrainSegConfig, TrainClsConfig])
def test_fp16_is_refused(config):
    """A mean over a image's pixels has gradients below its smallest number."""
    attacked = config(adversarial_training=AdversarialTrainingConfig(adv_train="pgd-3"))
    narrow = replace(attacked.train, precision="fp16")
    config(train=narrow)
    with pytest.raises(ConfigError, match="bf16 or fp32"):
        replace(attacked, train=narrow)


def test_ranks_draw_starts_of_their_own_and_their_generators_stay_alike(monkeypatch):
    """The state that a run saves is the first rank's, and each goes on from it."""
    monkeypatch.setattr(adversarial, "world_size", lambda: 2)
    monkeypatch.setattr(
        adversarial,
        "run_attack",
        lambda spec, forward, images, *rest, generator: random_start(images, BALL, generator),
    )
    network, found = model(), []
    for number in range(2):
        monkeypatch.setattr(adversarial, "rank", lambda number=number: number)
        torch.manual_seed(7)
        config = AdversarialTrainingConfig(
            adv_train="pgd-2", adv_fraction=0.75
        )  # three of the four num_images: two, and one
        changed = adversarial_examples(config, network, network)(*batch(2))
        found.append((changed[0], torch.random.get_rng_state()))
    assert not torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
