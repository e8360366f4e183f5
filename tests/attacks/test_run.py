"""Each attack of the table on a small network.

Its images are inside the threat model, multiples of 1 / 255, reproducible, and worse for the model than noise.
"""

import inspect
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from vocctl.attacks import run
from vocctl.attacks.generator import TrainedGenerator
from vocctl.attacks.objectives import AttackObjective, attack_goal
from vocctl.attacks.run import AttackFunction, load_function, run_attack, with_restarts
from vocctl.attacks.table import ATTACKS, parse_attack
from vocctl.attacks.threat import AttackError, Threat, norms
from vocctl.losses.adversarial import ATTACK_LOSSES


def seeded(count: int = 3) -> list[torch.Generator]:
    """One generator for each image."""
    return [torch.Generator().manual_seed(image) for image in range(count)]


def network(segmenter: bool) -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 21, 3, padding=1))
    model = layers if segmenter else nn.Sequential(layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(21, 20))
    return model.eval().requires_grad_(False)


def random_images() -> Tensor:
    return torch.randint(0, 256, (3, 3, 12, 12), generator=torch.Generator().manual_seed(0)) / 255


def predicted_labels(model: nn.Module, segmenter: bool) -> Tensor:
    logits = model(random_images())
    return logits.argmax(1) if segmenter else (logits > 0).long()


def test_every_attack_has_a_loss_and_a_function_with_the_common_signature():
    expected = list(inspect.signature(AttackFunction.__call__).parameters)[1:]  # without self
    rows = [row for row in ATTACKS.values() if not row.members and not row.trained]
    for row in rows:
        assert list(inspect.signature(load_function(row)).parameters) == expected, row.name
        assert row.loss in ATTACK_LOSSES, row.name
    assert len(rows) == len(ATTACKS) - 2  # all but sea and adv
    for name in ("sea", "adv"):
        with pytest.raises(ValueError, match="no function of its own"):
            load_function(ATTACKS[name])


ATTACK_TEXTS = ("noise", "fgsm", "pgd-5", "pgd-3x2", "segpgd-5", "cospgd-5", "apgd-8", "square-40")
SEA_TEXTS = ("sea-js-9", "sea-masked-9", "sea-balanced-9")
CASES = [
    *((text, segmenter) for text in ATTACK_TEXTS for segmenter in (True, False)),
    *((text, True) for text in SEA_TEXTS),
    ("pgd-margin-5", False),
]


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(("text", "segmenter"), CASES)
def test_every_attack_stays_in_its_threat_model_and_beats_noise(text, norm, segmenter):
    model, images = network(segmenter), random_images()
    threat = Threat(norm, {"linf": 16 / 255, "l2": 1.0}[norm])
    goal = attack_goal("untargeted", predicted_labels(model, segmenter))

    def attack(name: str) -> Tensor:
        return run_attack(parse_attack(name), model, images, goal, threat, generators=seeded())

    adv = attack(text)
    assert norms(adv - images, norm).max() <= threat.epsilon + 1e-4
    assert torch.allclose(adv * 255, (adv * 255).round(), atol=1e-3)
    assert torch.equal(adv, attack(text))
    if text != "noise":
        objective = AttackObjective("ce", goal)
        attacked, noisy, clean = (objective(model(x), step_fraction=0.0).mean() for x in (adv, attack("noise"), images))
        assert attacked > max(noisy, clean)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(("text", "segmenter"), CASES)
def test_an_image_has_the_same_example_in_any_batch_and_order(text, norm, segmenter):
    """Only rounding errors of the network's arithmetic may differ: a gradient near 0 may change its sign.

    With other random numbers half of the channels or more differ.
    """
    model, images, spec = network(segmenter), random_images(), parse_attack(text)
    labels, threat = predicted_labels(model, segmenter), Threat(norm, {"linf": 16 / 255, "l2": 1.0}[norm])

    def attack(*batch: int) -> dict[int, Tensor]:
        indices, generators = list(batch), seeded()
        goal = attack_goal("untargeted", labels[indices])
        chosen = [generators[index] for index in indices]
        return dict(zip(batch, run_attack(spec, model, images[indices], goal, threat, generators=chosen), strict=True))

    whole = attack(0, 1, 2)
    for parts in (attack(2, 1, 0), attack(0) | attack(2, 1)):
        differing = [(parts[index] != whole[index]).float().mean().item() for index in range(3)]
        assert max(differing) <= (0 if text == "noise" else 0.2), differing


def test_step_length_is_passed_to_the_attack():
    images, model = random_images(), network(segmenter=False)
    goal, threat = attack_goal("untargeted", predicted_labels(model, segmenter=False)), Threat("linf", 16 / 255)

    def attack(step_length: float | None) -> Tensor:
        spec = parse_attack("pgd-1")
        return run_attack(spec, model, images, goal, threat, generators=seeded(), step_length=step_length)

    assert torch.equal(attack(None), attack(0.02))  # .01 at 8/255 is .02 at 16/255
    assert not torch.equal(attack(0.001), attack(0.02))


def test_margin_attack_lowers_the_margin_and_cospgd_flips_more_labels():
    """Each attack follows the score that it is for: pgd-margin the rank of the present labels, cospgd the number of errors."""
    model, images = network(segmenter=False), random_images()
    goal = attack_goal("untargeted", predicted_labels(model, segmenter=False))
    threat = Threat("linf", 2 / 255)

    def attacked(text: str, loss: str) -> float:
        adv = run_attack(parse_attack(text), model, images, goal, threat, generators=seeded())
        return AttackObjective(loss, goal)(model(adv), step_fraction=0.0).mean().item()

    assert attacked("pgd-margin-10", "margin") >= attacked("pgd-10", "margin")
    assert attacked("cospgd-10", "smooth-errors") >= attacked("pgd-10", "smooth-errors")


def test_restarts_return_the_best_result_of_each_image():
    """The second image's first result, 5, is better than its third, 4, which is better than its second, 2."""
    results = iter(torch.tensor(values).reshape(2, 1, 1, 1) for values in ([1.0, 5.0], [3.0, 2.0], [2.0, 4.0]))
    best = with_restarts(
        lambda: next(results), lambda x: x.flatten(1), lambda logits, step_fraction: logits[:, 0], restarts=3
    )
    assert best.flatten().tolist() == [3, 5]


@pytest.mark.parametrize("name", ["pgd", "segpgd", "cospgd"])
def test_restarts_never_leave_more_pixels_correct(name):
    """The first of the five starts is the single start. The best is selected by pixel errors, not by the attack's loss."""
    model, images = network(segmenter=True), random_images()
    labels, threat = predicted_labels(model, segmenter=True), Threat("linf", 16 / 255)

    def error_rates(text: str) -> Tensor:
        goal = attack_goal("untargeted", labels)
        adv = run_attack(parse_attack(text), model, images, goal, threat, generators=seeded())
        return (model(adv).argmax(1) != labels).flatten(1).float().mean(1)

    one_start, five_starts = error_rates(f"{name}-3"), error_rates(f"{name}-3x5")
    assert (five_starts >= one_start - 0.01).all()  # rounding to 8 bits may make one pixel correct again
    assert five_starts.mean() > one_start.mean()


def test_trained_generator_replaces_the_function_of_its_row():
    images, threat = random_images(), Threat("linf", 4 / 255)
    goal = attack_goal("untargeted", torch.zeros(3, 20, dtype=torch.long))
    spec = parse_attack("adv:my-generator")

    def victim(x: Tensor) -> Tensor:
        raise AssertionError("a trained generator never runs the victim model")

    generator = TrainedGenerator(lambda x, threat: threat.project(x + threat.epsilon, x), bounded=True)
    adv = run_attack(spec, victim, images, goal, threat, generators=seeded(), trained=generator)
    assert torch.allclose(adv, (images + 4 / 255).clamp(max=1), atol=1e-6)


def test_a_result_outside_the_threat_model_is_an_error(monkeypatch):
    threat = Threat("linf", 4 / 255)
    monkeypatch.setattr(
        run, "load_function", lambda attack: lambda *args, **kwargs: torch.full((1, 3, 2, 2), torch.nan)
    )
    with pytest.raises(AttackError, match="NaN"):
        run_attack(
            replace(parse_attack("pgd"), steps=1), network(segmenter=True), torch.zeros(1, 3, 2, 2),
            attack_goal("untargeted", torch.zeros(1, 2, 2, dtype=torch.long)), threat, generators=seeded(1),
        )  # fmt: skip
