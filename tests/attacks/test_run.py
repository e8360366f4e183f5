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


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(segmenter: bool) -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 21, 3, padding=1))
    model = layers if segmenter else nn.Sequential(layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(21, 20))
    return model.eval().requires_grad_(False)


def random_images() -> Tensor:
    return torch.randint(0, 256, (3, 3, 12, 12), generator=seeded()) / 255


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


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(
    ("text", "segmenter"),
    [
        *((text, segmenter) for text in ATTACK_TEXTS for segmenter in (True, False)),
        *((text, True) for text in SEA_TEXTS),
    ],
)
def test_every_attack_stays_in_its_threat_model_and_beats_noise(text, norm, segmenter):
    model, images = network(segmenter), random_images()
    threat = Threat(norm, {"linf": 16 / 255, "l2": 1.0}[norm])
    goal = attack_goal("untargeted", predicted_labels(model, segmenter))

    def attack(name: str) -> Tensor:
        return run_attack(parse_attack(name), model, images, goal, threat, generator=seeded())

    adv = attack(text)
    assert norms(adv - images, norm).max() <= threat.epsilon + 1e-4
    assert torch.allclose(adv * 255, (adv * 255).round(), atol=1e-3)
    assert torch.equal(adv, attack(text))
    if text != "noise":
        objective = AttackObjective("ce", goal)
        attacked, noisy, clean = (objective(model(x), step_fraction=0.0).mean() for x in (adv, attack("noise"), images))
        assert attacked > max(noisy, clean)


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
        adv = run_attack(parse_attack(text), model, images, goal, threat, generator=seeded())
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
    adv = run_attack(spec, victim, images, goal, threat, generator=seeded(), trained=generator)
    assert torch.allclose(adv, (images + 4 / 255).clamp(max=1), atol=1e-6)


def test_a_result_outside_the_threat_model_is_an_error(monkeypatch):
    threat = Threat("linf", 4 / 255)
    monkeypatch.setattr(
        run, "load_function", lambda attack: lambda *args, **kwargs: torch.full((1, 3, 2, 2), torch.nan)
    )
    with pytest.raises(AttackError, match="NaN"):
        run_attack(
            replace(parse_attack("pgd"), steps=1), network(segmenter=True), torch.zeros(1, 3, 2, 2),
            attack_goal("untargeted", torch.zeros(1, 2, 2, dtype=torch.long)), threat, generator=seeded(),
        )  # fmt: skip
