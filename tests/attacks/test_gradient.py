"""FGSM, PGD and APGD against closed forms on a linear model, and against foolbox from the same start."""

import eagerpy
import foolbox
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.attacks import gradient
from vocctl.attacks.gradient import apgd, apgd_from, checkpoints, fgsm, pgd, pgd_from
from vocctl.attacks.objectives import Objective, evaluate
from vocctl.attacks.steps import random_start
from vocctl.attacks.threat import Threat, norms

NUM_CLASSES = 4


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_images(count: int = 5) -> Tensor:
    return 0.3 + 0.4 * torch.rand(count, 3, 6, 6, generator=seeded(0))


def linear_weights() -> Tensor:
    return torch.randn(3, 6, 6, generator=seeded(1))


def linear_model(images: Tensor) -> Tensor:
    return (images * linear_weights()).flatten(1).sum(1, keepdim=True)


def raise_logit(logits: Tensor, step_fraction: float) -> Tensor:
    return logits[:, 0]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_attacks_reach_the_closed_form_on_a_linear_model(norm):
    """w.x is highest at epsilon * sign(w) in linf, at epsilon * w / |w| in l2."""
    threat, images = Threat(norm, 0.05), random_images()
    direction = linear_weights().sign() if norm == "linf" else linear_weights() / linear_weights().norm()
    expected = images + 0.05 * direction
    one_step = fgsm(linear_model, images, raise_logit, threat, steps=1, generator=seeded(0))
    from_clean = pgd_from(linear_model, images, raise_logit, threat, steps=40, start=images)
    assert torch.allclose(one_step, expected, atol=1e-5)
    assert torch.allclose(from_clean, expected, atol=1e-5)
    from_clean = apgd_from(linear_model, images, raise_logit, threat, steps=40, start=images)
    assert torch.allclose(from_clean, expected, atol=1e-5)


@pytest.mark.parametrize(("attack", "attack_from"), [(pgd, pgd_from), (apgd, apgd_from)])
def test_attacks_start_at_random_in_the_ball(attack, attack_from):
    threat, images = Threat("linf", 0.05), random_images()
    adv = attack(linear_model, images, raise_logit, threat, steps=3, generator=seeded(7))
    start = random_start(images, threat, seeded(7))
    assert torch.equal(adv, attack_from(linear_model, images, raise_logit, threat, steps=3, start=start))


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(96, NUM_CLASSES))
    return layers.eval().requires_grad_(False)


def cross_entropy_of(labels: Tensor) -> Objective:
    return lambda logits, step_fraction: F.cross_entropy(logits, labels, reduction="none")


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("steps", [1, 7])
def test_fgsm_and_pgd_equal_foolbox(norm, steps):
    model, images = network(), random_images()
    labels = model(images).argmax(1)
    epsilon, step_length = {"linf": (0.06, 0.02), "l2": (0.4, 0.15)}[norm]
    threat = Threat(norm, epsilon)
    start = random_start(images, threat, seeded(2)) if steps > 1 else images
    attack_class = {
        "linf": foolbox.attacks.LinfProjectedGradientDescentAttack,
        "l2": foolbox.attacks.L2ProjectedGradientDescentAttack,
    }[norm]
    reference = attack_class(abs_stepsize=step_length if steps > 1 else epsilon, steps=steps, random_start=steps > 1)
    reference.get_random_start = lambda x0, size: eagerpy.astensor(start)
    foolbox_model = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    expected = reference.run(foolbox_model, images, foolbox.criteria.Misclassification(labels), epsilon=epsilon)
    objective = cross_entropy_of(labels)
    if steps == 1:
        adv = fgsm(model, images, objective, threat, steps=1, generator=seeded(0))
    else:
        adv = pgd_from(model, images, objective, threat, steps=steps, start=start, step_length=step_length)
    assert torch.allclose(adv, expected, atol=1e-5)
    assert not torch.allclose(adv, images, atol=1e-3)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_apgd_is_at_least_as_strong_as_pgd(norm):
    model, images = network(), random_images()
    objective, threat = cross_entropy_of(model(images).argmax(1)), Threat(norm, {"linf": 0.06, "l2": 0.4}[norm])
    pgd_images = pgd_from(model, images, objective, threat, steps=20, start=images)
    apgd_images = apgd_from(model, images, objective, threat, steps=20, start=images)
    threat.check(apgd_images, images)
    pgd_loss, apgd_loss = (evaluate(model, adv, objective).mean() for adv in (pgd_images, apgd_images))
    assert apgd_loss >= 0.99 * pgd_loss


def test_apgd_returns_the_iterate_with_the_highest_selection_score():
    """The score prefers a low logit, and each step raises the logit: the start is the best iterate."""
    images, threat = random_images(), Threat("linf", 0.05)
    adv = apgd_from(
        linear_model, images, raise_logit, threat,
        steps=10, start=images, selection_score=lambda logits: -logits[:, 0],
    )  # fmt: skip
    assert torch.equal(adv, images)


def test_apgd_continues_where_the_objective_falls_and_the_progress_objective_rises():
    """As with a loss over the pixels that are still correct: its gradient helps, its value falls with every step."""
    images, threat = random_images(), Threat("linf", 0.05)

    def falling(logits: Tensor, step_fraction: float) -> Tensor:
        return logits[:, 0] - 2 * logits.detach()[:, 0]

    assert torch.equal(apgd_from(linear_model, images, falling, threat, steps=40, start=images), images)
    adv = apgd_from(linear_model, images, falling, threat, steps=40, start=images, progress_objective=raise_logit)
    assert torch.allclose(adv, images + 0.05 * linear_weights().sign(), atol=1e-5)


def test_apgd_halves_the_step_length_where_steps_overshoot(monkeypatch):
    """The maximum of f is .01 from the start, and steps of 2 epsilon = .1 end at the edge of the ball, .04 or .06 from it.

    With momentum the iterates come a little closer, but not below half of the distance at the start.
    """
    images, threat = random_images(2), Threat("linf", 0.05)
    maximum = images + 0.01

    def objective(distances: Tensor, step_fraction: float) -> Tensor:
        return -distances

    def distances(x: Tensor) -> Tensor:
        return (x - maximum).abs().flatten(1).mean(1)

    adv = apgd_from(distances, images, objective, threat, steps=100, start=images)
    assert distances(adv).max() < 0.001
    monkeypatch.setattr(gradient, "checkpoints", lambda steps: [])
    without_halving = apgd_from(distances, images, objective, threat, steps=100, start=images)
    assert distances(without_halving).min() > 0.005


def test_apgd_halves_the_step_length_by_conditions_1_and_2():
    """Five images at step 22, all with f = 1 at the last checkpoint: 22 * .75 = 16.5 steps have to increase f.

    Image 0: 16 increases (condition 1). 1: 17 increases, a new maximum. 2: no new maximum, not halved before (condition 2).
    3: no new maximum, but halved at the last checkpoint. 4: as 3, with 16 increases (condition 1).
    """
    images, values = random_images(5), torch.ones(5)
    measured = gradient._Measurement(torch.zeros_like(images), values, values)
    state = gradient._ApgdState.at_start(images, measured, Threat("linf", 0.05))
    state.x = images + 0.02
    state.n_increases = torch.tensor([16.0, 17.0, 17.0, 17.0, 16.0])
    state.value_max = torch.tensor([2.0, 2.0, 1.0, 1.0, 1.0])
    state.halved_at_checkpoint = torch.tensor([False, False, False, True, True])
    state.halve_step_length(22)
    assert state.step_length.tolist() == pytest.approx([0.05, 0.1, 0.05, 0.1, 0.05])
    halved = [True, False, True, False, True]
    assert state.halved_at_checkpoint.tolist() == halved
    assert [
        torch.equal(x, x_max) for x, x_max in zip(state.x, images, strict=True)
    ] == halved  # they continue from x_max
    assert state.n_increases.tolist() == [0] * 5
    assert (state.value_max_at_checkpoint.tolist(), state.last_checkpoint) == ([2, 2, 1, 1, 1], 22)


def test_pgd_tells_its_objective_the_fraction_of_the_steps():
    """SegPGD's weights depend on it: step / steps, from 0."""
    fractions = []

    def objective(logits: Tensor, step_fraction: float) -> Tensor:
        fractions.append(step_fraction)
        return logits[:, 0]

    images = random_images()
    pgd_from(linear_model, images, objective, Threat("linf", 0.05), steps=4, start=images)
    assert fractions == [0, 0.25, 0.5, 0.75]


def test_checkpoints_of_100_steps():
    """p: .22, .41, .57, .70, .80, .87, .93, .99 (arXiv 2003.01690, section 3)."""
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_random_start_is_in_the_ball_and_follows_the_generator(norm):
    images, threat = random_images(), Threat(norm, 0.1)
    first, repeated, different = (random_start(images, threat, seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, repeated)
    assert not torch.equal(first, different)
    assert norms(first - images, norm).max() <= 0.1 + 1e-6
    assert norms(first - images, norm).min() > 0.05


def test_apgd_iterates_with_momentum_by_hand():
    """One pixel of .5, epsilon .2, f = -(x - .65)^2. Each step is 2 epsilon = .4 long until the first checkpoint, step 3.

    x_1 = P(.5 + .4) = .7. z = P(.7 - .4) = .3, so x_2 = .7 + .75 (.3 - .7) + .25 (.7 - .5) = .45.
    z = P(.45 + .4) = .7, so x_3 = .45 + .75 (.7 - .45) + .25 (.45 - .7) = .575.
    """
    iterates = []

    def model(x: Tensor) -> Tensor:
        iterates.append(x.item())
        return -((x.flatten(1) - 0.65) ** 2)

    image = torch.full((1, 1, 1, 1), 0.5)
    apgd_from(model, image, raise_logit, Threat("linf", 0.2), steps=10, start=image)
    assert iterates[:4] == pytest.approx([0.5, 0.7, 0.45, 0.575], abs=1e-6)
