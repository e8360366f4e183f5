"""FGSM, PGD and APGD: closed forms on a linear model, and foolbox's images from the same start."""

import eagerpy
import foolbox
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.attacks.gradient import apgd, checkpoints, evaluate, fgsm, pgd, with_restarts
from vocctl.attacks.steps import random_start
from vocctl.attacks.threat import Threat, norms

CLASSES = 4


def random_images(count: int = 5) -> Tensor:
    return 0.3 + 0.4 * torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def weight() -> Tensor:
    return torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(1))


def linear(images: Tensor) -> Tensor:
    return (images * weight()).flatten(1).sum(1, keepdim=True)


def raised(logits: Tensor, done: float) -> Tensor:
    return logits[:, 0]


@pytest.mark.parametrize("attack", ["fgsm", "pgd", "apgd"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_on_a_linear_model_the_answer_is_the_closed_form(attack, norm):
    """w.x is raised most by epsilon sign(w) in linf, by epsilon w / |w| in l2."""
    threat, images = Threat(norm, 0.05), random_images()
    best = weight().sign() if norm == "linf" else weight() / weight().norm()
    if attack == "fgsm":
        adv = fgsm(linear, images, raised, threat)
    elif attack == "pgd":
        adv = pgd(linear, images, raised, threat, steps=40, start=images)
    else:
        adv = apgd(linear, images, raised, threat, steps=40, start=images)
    assert torch.allclose(adv, images + 0.05 * best, atol=1e-5)


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(96, CLASSES))
    return layers.eval().requires_grad_(False)


def truth(model: nn.Module) -> Tensor:
    return model(random_images()).argmax(1)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("steps", [1, 7])
def test_the_images_are_foolboxs_from_the_same_start(norm, steps):
    model, images = network(), random_images()
    labels, epsilon, length = truth(model), {"linf": 0.06, "l2": 0.4}[norm], {"linf": 0.02, "l2": 0.15}[norm]

    def objective(logits: Tensor, done: float) -> Tensor:
        return F.cross_entropy(logits, labels, reduction="none")

    threat = Threat(norm, epsilon)
    start = random_start(images, threat, torch.Generator().manual_seed(2)) if steps > 1 else images
    kinds = {
        "linf": foolbox.attacks.LinfProjectedGradientDescentAttack,
        "l2": foolbox.attacks.L2ProjectedGradientDescentAttack,
    }
    theirs = kinds[norm](abs_stepsize=length if steps > 1 else epsilon, steps=steps, random_start=steps > 1)
    theirs.get_random_start = lambda x0, size: eagerpy.astensor(start)
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    expected = theirs.run(wrapped, images, foolbox.criteria.Misclassification(labels), epsilon=epsilon)
    if steps == 1:
        ours = fgsm(model, images, objective, threat)
    else:
        ours = pgd(model, images, objective, threat, steps=steps, start=start, step=length)
    assert torch.allclose(ours, expected, atol=1e-5)
    assert not torch.allclose(ours, images, atol=1e-3)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_apgd_is_at_least_as_strong_as_pgd_at_the_same_steps(norm):
    model, images = network(), random_images()
    labels, threat = truth(model), Threat(norm, {"linf": 0.06, "l2": 0.4}[norm])

    def objective(logits: Tensor, done: float) -> Tensor:
        return F.cross_entropy(logits, labels, reduction="none")

    plain = pgd(model, images, objective, threat, steps=20, start=images)
    auto = apgd(model, images, objective, threat, steps=20, start=images)
    threat.check(auto, images)
    assert evaluate(model, auto, objective).mean() >= 0.99 * evaluate(model, plain, objective).mean()


def test_apgd_keeps_what_ranks_best():
    """The rank prefers small changes: of all iterates the first is the best, so the start comes back."""
    images, threat = random_images(), Threat("linf", 0.05)

    def rank(logits: Tensor) -> Tensor:
        return -logits[:, 0]

    assert torch.equal(apgd(linear, images, raised, threat, steps=10, start=images, rank=rank), images)


def test_apgd_goes_on_where_the_objective_falls_and_the_judge_rises():
    """As with a loss of the pixels that are still right: its gradient leads on, its value falls with every step."""
    images, threat = random_images(), Threat("linf", 0.05)

    def falling(logits: Tensor, done: float) -> Tensor:
        return logits[:, 0] - 2 * logits.detach()[:, 0]

    assert torch.equal(apgd(linear, images, falling, threat, steps=40, start=images), images)
    led = apgd(linear, images, falling, threat, steps=40, start=images, judge=raised)
    assert torch.allclose(led, images + 0.05 * weight().sign(), atol=1e-5)


def test_checkpoints_of_100_steps_are_autoattacks():
    """p: .22, .41, .57, .70, .80, .87, .93, .99 (arXiv 2003.01690, section 3)."""
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]


def test_restarts_keep_the_highest_value_of_each_image():
    images, threat = random_images(3), Threat("linf", 0.05)
    handed = iter([images, images + 0.01 * weight().sign(), images - 0.01 * weight().sign()])
    adv = with_restarts(
        lambda start: next(handed),
        linear,
        images,
        raised,
        threat,
        restarts=3,
        generator=torch.Generator().manual_seed(0),
    )
    assert torch.equal(adv, images + 0.01 * weight().sign())


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_random_starts_lie_in_the_ball_and_differ_by_generator(norm):
    images, threat = random_images(), Threat(norm, 0.1)
    one, same, other = (random_start(images, threat, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert norms(one - images, norm).max() <= 0.1 + 1e-6
    assert norms(one - images, norm).min() > 0.05
