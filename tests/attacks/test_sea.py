"""SEA's runs on a small network."""

import pytest
import torch
from torch import Tensor, nn

from vocctl.attacks import sea
from vocctl.attacks.gradient import apgd_from
from vocctl.attacks.objectives import AttackObjective, attack_goal
from vocctl.attacks.sea import sea_member, stage_steps
from vocctl.attacks.threat import Threat, norms
from vocctl.losses.adversarial import error_rate


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.Tanh(), nn.Conv2d(16, 21, 3, padding=1))
    return layers.eval().requires_grad_(False)


def random_images() -> Tensor:
    return torch.randint(0, 256, (4, 3, 16, 16), generator=torch.Generator().manual_seed(0)) / 255


def run_sea(steps: int) -> tuple[Tensor, float]:
    """Adversarial images of the masked loss at 6/255, and their pixel error rate."""
    model, images = network(), random_images()
    labels = model(images).argmax(1)
    objective = AttackObjective("masked", attack_goal("untargeted", labels))
    generators = [torch.Generator().manual_seed(image) for image in range(len(images))]
    threat = Threat("linf", 6 / 255)
    adv = sea_member(model, images, objective, threat, steps=steps, step_length=None, generators=generators)
    return adv, error_rate(model(adv), labels).mean().item()


def test_masked_loss_needs_cross_entropy_to_measure_progress(monkeypatch):
    """The masked loss falls as pixels become wrong: as its own measure of progress it stops the attack early."""
    _, with_cross_entropy = run_sea(steps=50)
    monkeypatch.setattr(sea, "apgd_from", lambda *args, progress_objective, **kwargs: apgd_from(*args, **kwargs))
    assert with_cross_entropy > run_sea(steps=50)[1]


def test_radius_shrinks_to_epsilon(monkeypatch):
    """Radii 2, 1.5 and 1 epsilon for 3, 3 and 4 of 10 steps; the result is in the smallest ball."""
    stages = []

    def recorded(forward, images, objective, threat, *, steps, **kwargs):
        stages.append((round(255 * threat.epsilon, 6), steps))
        return apgd_from(forward, images, objective, threat, steps=steps, **kwargs)

    monkeypatch.setattr(sea, "apgd_from", recorded)
    adv, _ = run_sea(steps=10)
    assert stages == [(12, 3), (9, 3), (6, 4)]
    assert norms(adv - random_images(), "linf").max() <= 6 / 255 + 1e-6


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(1, (0, 0, 1)), (3, (0, 0, 3)), (5, (1, 1, 3)), (50, (15, 15, 20)), (100, (30, 30, 40)), (199, (59, 59, 81))],
)
def test_stages_have_all_steps_and_no_more(steps, expected):
    """int(.3 steps), int(.3 steps), and the rest, as in the authors' published code."""
    assert stage_steps(steps) == expected
    assert sum(expected) == steps


def test_sea_with_few_steps_makes_as_many_and_stays_in_the_ball(monkeypatch):
    counts = []

    def recorded(*args, steps, **kwargs):
        counts.append(steps)
        return apgd_from(*args, steps=steps, **kwargs)

    monkeypatch.setattr(sea, "apgd_from", recorded)
    for steps in (1, 2, 5):
        adv, _ = run_sea(steps)
        assert norms(adv - random_images(), "linf").max() <= 6 / 255 + 1e-6
    assert counts == [1, 2, 1, 1, 3]
