"""How attacks are written, what each supports, and that one row makes an attack available everywhere."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from vocctl.attacks.gradient import input_gradient
from vocctl.attacks.objectives import attack_goal
from vocctl.attacks.run import run_attack
from vocctl.attacks.table import (
    ATTACKS,
    Attack,
    AttackSpec,
    adv_train_help,
    attack_examples,
    attack_help,
    check_attack_fits,
    parse_attack,
)
from vocctl.attacks.threat import Threat
from vocctl.config import AdversarialTrainingConfig
from vocctl.errors import ConfigError
from vocctl.training.adversarial import adversarial_examples


@pytest.mark.parametrize(
    ("text", "name", "steps", "restarts", "run"),
    [
        ("fgsm", "fgsm", 1, 1, ""),
        ("pgd", "pgd", 20, 1, ""),
        ("pgd-7", "pgd", 7, 1, ""),
        ("cospgd-7x3", "cospgd", 7, 3, ""),
        ("sea-masked-9", "sea-masked", 9, 1, ""),
        ("square", "square", 1000, 1, ""),
        ("adv:runs/adv/first-3", "adv", 1, 1, "runs/adv/first-3"),
    ],
)
def test_parse_attack(text, name, steps, restarts, run):
    assert parse_attack(text) == AttackSpec(text, ATTACKS[name], steps, restarts, run)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no attack"),
        ("pgdd-20", "did you mean pgd"),
        ("PGD", "no attack"),
        ("pgd-", "no attack"),
        ("pgd--3", "no attack"),
        ("pgd-3x", "no attack"),
        ("-3", "no attack"),
        ("pgd:run", "no attack"),
        ("pgd-" + "9" * 5000, "no attack"),
        ("pgd-0", "1 or more"),
        ("pgd-3x0", "1 or more"),
        ("noise-3", "no number of steps"),
        ("fgsm-2", "no number of steps"),
        ("sea-9x2", "only pgd, segpgd, cospgd, apgd"),
        ("adv", "adv:RUN"),
        ("adv:", "adv:RUN"),
        ("adv-3:run", "adv:RUN"),
    ],
)
def test_parse_attack_refuses(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_attack(text)


def test_unknown_attack_lists_all_attacks():
    assert {"fgsm", "pgd-20", "sea-50", "square-1000", "noise", "adv:RUN"} <= set(attack_examples())
    with pytest.raises(ConfigError, match=", ".join(attack_examples())):
        parse_attack("deepfool")


def test_sea_is_three_runs_and_untargeted_and_for_segmenters():
    sea = parse_attack("sea-9")
    assert [(spec.name, spec.steps) for spec in sea.members] == [
        ("sea-js-9", 9), ("sea-masked-9", 9), ("sea-balanced-9", 9),
    ]  # fmt: skip
    check_attack_fits(sea, "train-seg", "untargeted")
    with pytest.raises(ConfigError, match=r"for segmenters\. Attack classifiers with one of fgsm, pgd"):
        check_attack_fits(sea, "train-cls", "untargeted")
    with pytest.raises(ConfigError, match=r"cannot be combined with --goal hide:cat\. Use one of fgsm, pgd"):
        check_attack_fits(sea, "train-seg", "hide:cat")
    check_attack_fits(parse_attack("pgd"), "train-cls", "hide:cat")


def test_table_imports_no_torch():
    """`vocctl eval --help` lists the attacks and has to start fast."""
    code = "import sys, vocctl.attacks.table; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def sign_ascent(forward, images, objective, threat, *, steps, generator):
    """A new gradient attack: one step along the sign of the gradient, half as long as epsilon."""
    gradient, _, _ = input_gradient(forward, images, objective, 0.0)
    return threat.project(images + 0.5 * threat.epsilon * gradient.sign(), images)


def test_a_row_makes_an_attack_available_everywhere(monkeypatch):
    row = Attack(
        name="halfstep", function=f"{__name__}:sign_ascent", access="white-box", default_steps=3, restarts=True,
        for_training=True, description="for this test",
    )  # fmt: skip
    monkeypatch.setitem(ATTACKS, "halfstep", row)
    spec = parse_attack("halfstep-5x2")
    assert (spec.attack, spec.steps, spec.restarts) == (row, 5, 2)
    assert spec.attack.access == "white-box"  # what the sanity checks ask for
    check_attack_fits(spec, "train-cls", "hide:cat")
    assert "halfstep-3" in attack_help()
    assert "halfstep" in adv_train_help()

    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 20)).requires_grad_(False)
    images, labels = torch.full((2, 3, 4, 4), 0.4), torch.ones(2, 20, dtype=torch.long)
    goal, threat = attack_goal("untargeted", labels), Threat("linf", 8 / 255)
    adv = run_attack(spec, model, images, goal, threat, generator=torch.Generator())
    assert (255 * (adv - images)).abs().round().unique().tolist() == [4]
    config = AdversarialTrainingConfig(adv_train="halfstep", adv_fraction=0.5, adv_eps="8/255")
    mixed = adversarial_examples(config, model, model)(images, labels)
    assert torch.equal(mixed[0], adv[0])
    assert torch.equal(mixed[1], images[1])


def test_commands_show_the_help_of_the_table():
    from typing import get_type_hints

    from vocctl.cli.evaluate import evaluate
    from vocctl.cli.train import train_seg

    attack_option = get_type_hints(evaluate, include_extras=True)["attack"].__metadata__[0]
    assert attack_option.help == attack_help()
    adv_train_option = train_seg.__annotations__["adv_train"].__metadata__[0]
    assert adv_train_option.help.startswith(adv_train_help())
