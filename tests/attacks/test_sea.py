"""SEA's members, on a small network: what they rank by, and that masked losses don't hold them up."""

import pytest
import torch
from torch import Tensor, nn

from vocctl.attacks import sea
from vocctl.attacks.gradient import apgd
from vocctl.attacks.objectives import attack_goal, objective
from vocctl.attacks.sea import pixel_error_rate, sea_member
from vocctl.attacks.threat import Threat
from vocctl.labels import IGNORE


def test_share_wrong_by_hand():
    labels = torch.tensor([[[0, 1], [2, IGNORE]]])
    logits = torch.zeros(1, 3, 2, 2)
    logits[0, 0, 0, 0] = logits[0, 2, 0, 1] = logits[0, 2, 1, 0] = (
        1  # right, wrong, right; the border counts in nothing
    )
    assert pixel_error_rate(logits, labels).tolist() == pytest.approx([1 / 3])


def network() -> nn.Module:
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.Tanh(), nn.Conv2d(16, 21, 3, padding=1))
    return backbone.eval().requires_grad_(False)


def random_images() -> Tensor:
    return torch.randint(0, 256, (4, 3, 16, 16), generator=torch.Generator().manual_seed(0)) / 255


def test_a_loss_that_falls_as_pixels_turn_does_not_judge_its_own_steps(monkeypatch):
    model, images = network(), random_images()
    labels, threat = model(images).argmax(1), Threat("linf", 6 / 255)
    goal = objective("masked", attack_goal("untargeted", labels))

    def turned() -> Tensor:
        generator = torch.Generator().manual_seed(0)
        adv = sea_member(model, images, labels, goal, threat, steps=50, generator=generator)
        return pixel_error_rate(model(adv), labels).mean()

    judged = turned()
    monkeypatch.setattr(sea, "apgd", lambda *given, judge, **named: apgd(*given, **named))
    assert judged > turned()
