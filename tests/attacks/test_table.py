"""Attacks by name, and each on a small network: inside its threat, in steps of 1 / 255, the same for the same seed."""

import pytest
import torch
from torch import Tensor, nn

from vocctl.attacks.objectives import attack_goal, objective
from vocctl.attacks.table import AttackSpec, check_attack_fits, parse_attack, run_attack
from vocctl.attacks.threat import Threat, norms
from vocctl.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fgsm", AttackSpec("fgsm", "fgsm", 1)),
        ("pgd", AttackSpec("pgd", "pgd", 20)),
        ("pgd-7", AttackSpec("pgd-7", "pgd", 7)),
        ("cospgd-7x3", AttackSpec("cospgd-7x3", "cospgd", 7, 3)),
        ("sea-masked-9", AttackSpec("sea-masked-9", "sea-masked", 9)),
        ("adv:runs/adv/first", AttackSpec("adv:runs/adv/first", "adv", 1, run="runs/adv/first")),
    ],
)
def test_words(text, expected):
    assert parse_attack(text) == expected


@pytest.mark.parametrize(
    "text", ["", "pgd-", "pgd--3", "pgd-3x", "PGD", "noise-3", "fgsm-2", "adv:", "pgd-3x0", "-3", "sea-9x2"]
)
def test_words_that_are_none(text):
    with pytest.raises(ConfigError):
        parse_attack(text)


def test_sea_is_three_runs_and_for_segmenters():
    sea = parse_attack("sea-9")
    assert [member.name for member in sea.members] == ["sea-js-9", "sea-masked-9", "sea-balanced-9"]
    check_attack_fits(sea, "train-seg", "untargeted")
    with pytest.raises(ConfigError, match="for segmenters"):
        check_attack_fits(sea, "train-cls", "untargeted")
    with pytest.raises(ConfigError, match="no goal"):
        check_attack_fits(sea, "train-seg", "hide:cat")


def network(segments: bool) -> nn.Module:
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 21, 3, padding=1))
    whole = backbone if segments else nn.Sequential(backbone, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(21, 20))
    return whole.eval().requires_grad_(False)


def random_images() -> Tensor:
    return torch.randint(0, 256, (3, 3, 12, 12), generator=torch.Generator().manual_seed(0)) / 255


def labels(model: nn.Module, segments: bool) -> Tensor:
    logits = model(random_images())
    return logits.argmax(1) if segments else (logits > 0).long()


NAMES = ("noise", "fgsm", "pgd-5", "pgd-3x2", "segpgd-5", "cospgd-5", "apgd-8", "square-40")


@pytest.mark.parametrize("segments", [True, False])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", [*NAMES, "sea-js-9", "sea-masked-9", "sea-balanced-9"])
def test_every_attack_keeps_its_threat_and_fools_more_than_noise(name, norm, segments):
    if name.startswith("sea") and not segments:
        pytest.skip("SEA counts pixels")
    model, images = network(segments), random_images()
    threat = Threat(norm, {"linf": 16 / 255, "l2": 1.0}[norm])
    aimed = attack_goal("untargeted", labels(model, segments))

    def run(attack: str, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return run_attack(parse_attack(attack), model, images, aimed, threat, generator=generator)

    adv = run(name)
    assert norms(adv - images, norm).max() <= threat.epsilon + 1e-4
    assert torch.allclose(adv * 255, (adv * 255).round(), atol=1e-3)
    assert torch.equal(adv, run(name))
    if name != "noise":
        value = objective("ce", aimed)
        assert value(model(adv), 0.0).mean() > value(model(run("noise")), 0.0).mean()
        assert value(model(adv), 0.0).mean() > value(model(images), 0.0).mean()


@pytest.mark.parametrize("kind", ["pgd", "segpgd", "cospgd"])
def test_a_restart_never_leaves_more_pixels_right(kind):
    """The first start is the same; the weights of segpgd and cospgd favor images that hardly changed."""
    model, images = network(True), random_images()
    wanted, threat = labels(model, True), Threat("linf", 16 / 255)

    def turned(name: str) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        adv = run_attack(
            parse_attack(name), model, images, attack_goal("untargeted", wanted), threat, generator=generator
        )
        return (model(adv).argmax(1) != wanted).flatten(1).float().mean(1)

    once, often = turned(f"{kind}-3"), turned(f"{kind}-3x5")
    assert (often >= once - 0.01).all()  # rounding to 8 bits may take a pixel back
    assert often.mean() > once.mean()


def test_square_asks_for_no_gradient():
    model, images = network(True), random_images()

    def forward(x: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        return model(x)

    aimed = attack_goal("untargeted", labels(model, True))
    generator = torch.Generator().manual_seed(0)
    run_attack(parse_attack("square-9"), forward, images, aimed, Threat("linf", 0.05), generator=generator)
