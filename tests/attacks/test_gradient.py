"""FGSM, PGD and APGD against closed forms on a linear model, and against foolbox from the same start."""

import eagerpy
import foolbox
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.attacks import gradient
from vocctl.attacks.gradient import apgd, apgd_from, checkpoints, fgsm, pgd, pgd_from, training_pgd
from vocctl.attacks.objectives import AttackObjective, Objective, attack_goal, evaluate
from vocctl.attacks.steps import random_start
from vocctl.attacks.threat import Threat, norms

NUM_CLASSES = 4


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def per_image(images: Tensor, seed: int = 0) -> list[torch.Generator]:
    return [seeded(100 * seed + index) for index in range(len(images))]


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
    one_step = fgsm(linear_model, images, raise_logit, threat, steps=1, step_length=None, generators=per_image(images))
    from_clean = pgd_from(linear_model, images, raise_logit, threat, steps=40, start=images, step_length=0.01)
    assert torch.allclose(one_step, expected, atol=1e-5)
    assert torch.allclose(from_clean, expected, atol=1e-5)
    from_clean = apgd_from(linear_model, images, raise_logit, threat, steps=40, start=images)
    assert torch.allclose(from_clean, expected, atol=1e-5)


def test_apgd_starts_at_random_in_the_ball():
    threat, images = Threat("linf", 0.05), random_images()
    adv = apgd(
        linear_model, images, raise_logit, threat, steps=3, step_length=None, generators=per_image(images, seed=7)
    )
    start = random_start(images, threat, per_image(images, seed=7))
    assert torch.equal(adv, apgd_from(linear_model, images, raise_logit, threat, steps=3, start=start))


def classifier(images: Tensor) -> Tensor:
    """(B, 1): the logit of one label."""
    return linear_model(images) - linear_model(random_images()).mean()


@pytest.mark.parametrize(("norm", "epsilon", "length"), [("linf", 8 / 255, 0.01), ("l2", 64 / 255, 0.1)])
def test_pgd_has_the_step_length_of_the_papers(norm, epsilon, length):
    """arXiv 2302.02213 and its code: .01 at 8/255 (linf), .1 at 64/255 (l2). One step from the start is in the ball here."""
    images, threat = random_images(), Threat(norm, epsilon)
    objective = AttackObjective("ce", attack_goal("untargeted", torch.ones(5, 1, dtype=torch.long)))
    start = random_start(images, threat, per_image(images))
    half = Threat(norm, epsilon / 2)
    expected = pgd_from(classifier, images, objective, threat, steps=3, start=start, step_length=length)
    for step_length in (None, length):
        adv = pgd(classifier, images, objective, threat, steps=3, step_length=step_length, generators=per_image(images))
        assert torch.allclose(adv, expected, atol=1e-6)
    small = pgd(classifier, images, objective, half, steps=3, step_length=None, generators=per_image(images))
    small_start = random_start(images, half, per_image(images))
    expected = pgd_from(classifier, images, objective, half, steps=3, start=small_start, step_length=length / 2)
    assert torch.allclose(small, expected, atol=1e-6)


def test_adversarial_training_crosses_the_ball_in_its_few_steps():
    """Three steps of 2.5 epsilon / 3 reach the corner, two epsilon away, from any start; three of .32 epsilon do not."""
    images, threat = random_images(), Threat("linf", 0.05)
    objective = AttackObjective("ce", attack_goal("untargeted", torch.ones(5, 1, dtype=torch.long)))
    corner = images - 0.05 * linear_weights().sign()
    adv = training_pgd(classifier, images, objective, threat, steps=3, step_length=None, generators=per_image(images))
    assert torch.allclose(adv, corner, atol=1e-6)
    adv = pgd(classifier, images, objective, threat, steps=3, step_length=None, generators=per_image(images))
    assert not torch.allclose(adv, corner, atol=1e-3)


def test_pgd_returns_the_best_iterate_of_each_image():
    """f = -|x - target|: with a step as long as the distance the iterates hit the target, leave it, and hit it again.

    Image 0 starts one step from its target: best after 1, 3, ... steps. Image 1 starts at its target: best after 0, 2, ...
    The last of three steps is the best iterate of image 0, the one before it that of image 1: the latest of equals.
    """
    images = torch.full((2, 3, 2, 2), 0.5)
    target = images + torch.tensor([0.1, 0.0])[:, None, None, None]
    forward_passes = []

    def distance(x: Tensor) -> Tensor:
        forward_passes.append(x.detach())
        return (x - target + 1e-4).flatten(1)

    def objective(logits: Tensor, step_fraction: float) -> Tensor:
        return -logits.abs().mean(1)

    threat = Threat("linf", 0.2)
    best = pgd_from(distance, images, objective, threat, steps=3, start=images, step_length=0.1, progress=objective)
    assert torch.allclose(best, target, atol=1e-6)
    assert len(forward_passes) == 4  # one more than the steps: of the last iterate
    assert torch.equal(best[1], forward_passes[2][1])
    last = pgd_from(distance, images, objective, threat, steps=3, start=images, step_length=0.1)
    assert torch.allclose(last[0], target[0], atol=1e-6)
    assert (last[1] - target[1]).abs().min() > 0.09
    assert len(forward_passes) == 7  # without a progress objective no pass is added


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
    start = random_start(images, threat, per_image(images, seed=2)) if steps > 1 else images
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
        adv = fgsm(model, images, objective, threat, steps=1, step_length=None, generators=per_image(images))
    else:
        adv = pgd_from(model, images, objective, threat, steps=steps, start=start, step_length=step_length)
    assert torch.allclose(adv, expected, atol=1e-5)
    assert not torch.allclose(adv, images, atol=1e-3)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_apgd_is_at_least_as_strong_as_pgd(norm):
    model, images = network(), random_images()
    objective, threat = cross_entropy_of(model(images).argmax(1)), Threat(norm, {"linf": 0.06, "l2": 0.4}[norm])
    step_length = 0.125 * threat.epsilon
    pgd_images = pgd_from(model, images, objective, threat, steps=20, start=images, step_length=step_length)
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
    pgd_from(linear_model, images, objective, Threat("linf", 0.05), steps=4, start=images, step_length=0.01)
    assert fractions == [0, 0.25, 0.5, 0.75]


def test_checkpoints_of_100_steps():
    """p: .22, .41, .57, .70, .80, .87, .93, .99 (arXiv 2003.01690, section 3)."""
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_random_start_is_in_the_ball_and_follows_the_generator_of_each_image(norm):
    images, threat = random_images(), Threat(norm, 0.1)
    first, repeated, different = (random_start(images, threat, per_image(images, seed)) for seed in (0, 0, 1))
    assert torch.equal(first, repeated)
    assert not torch.equal(first, different)
    reversed_start = random_start(images.flip(0), threat, per_image(images)[::-1])
    assert torch.equal(reversed_start.flip(0), first)  # an image's draws do not depend on its place in the batch
    alone = random_start(images[3:4], threat, per_image(images)[3:4])
    assert torch.equal(alone[0], first[3])
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
