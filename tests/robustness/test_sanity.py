"""Each sanity check passes for a sound evaluation and fails for a weak attack. Which checks an evaluation runs."""

from pathlib import Path

import pytest
import torch

from vocctl.config import AttackConfig
from vocctl.robustness.sanity import (
    SanityCheck,
    black_box_is_weaker,
    large_budget,
    more_steps,
    noise_is_weaker,
    rounding,
    zero_gradients,
)
from vocctl.tasks.attack import AttackResult, attack


@pytest.mark.parametrize(
    ("sound", "weak"),
    [
        (zero_gradients([torch.ones(2, 3, 4, 4)]), zero_gradients([torch.zeros(2, 3, 4, 4)])),
        (zero_gradients([torch.zeros(1, 3, 4, 4), torch.ones(2, 3, 4, 4)]), zero_gradients([torch.zeros(1, 3, 1, 1)])),
        (more_steps(0.4, 0.6), more_steps(0.6, 0.4)),
        (more_steps(0.404, 0.4), more_steps(0.406, 0.4)),  # on either side of the tolerance
        (large_budget(0.01, 0.5), large_budget(0.3, 0.5)),
        (large_budget(0.0, 0.0), large_budget(0.1, 0.0)),
        (rounding(0.9, 1.0), rounding(0.2, 1.0)),
        (noise_is_weaker(0.1, {"fgsm": 0.6}), noise_is_weaker(0.4, {"pgd-20": 0.6, "adv:one": 0.1})),
        (black_box_is_weaker(0.3, 0.6), black_box_is_weaker(0.6, 0.3)),
    ],
)
def test_checks(sound: SanityCheck, weak: SanityCheck) -> None:
    assert sound.passed
    assert not weak.passed
    assert weak.failure_meaning


def test_noise_is_compared_with_the_weakest_attack() -> None:
    check = noise_is_weaker(0.4, {"pgd-20": 0.6, "adv:one": 0.1})
    assert "0.100 of adv:one" in check.measured
    assert "adv:one" in check.failure_meaning


def names(result: AttackResult) -> list[str]:
    return [check.name for check in result.sanity]


def test_black_box_attack_is_compared_with_the_pgd_of_the_checks(attackable_runs: dict[str, Path]) -> None:
    result = attack([str(attackable_runs["seg"])], AttackConfig(attack=("square-20",), eps=("8/255",), images=3))
    assert names(result) == ["zero gradients", "more steps", "large budget", "noise", "black box"]


def test_rounding_is_checked_for_small_l2_budgets(attackable_runs: dict[str, Path]) -> None:
    # The largest budget counts. 9, spread over 32 x 32 x 3 channels, is 9 * 255 / 55.4 = 41 of 255 levels each; 0.1 is 0.46.
    config = AttackConfig(attack=("pgd-3",), eps=("0.1", "9"), norm="l2", images=3)
    assert names(attack([str(attackable_runs["seg"])], config)) == ["zero gradients", "more steps", "noise"]
    result = attack([str(attackable_runs["seg"])], AttackConfig(attack=("pgd-3",), eps=("0.1",), norm="l2", images=3))
    (check,) = (check for check in result.sanity if check.name == "rounding")
    assert "of a budget of 0.10" in check.measured


def test_sanity_checks_of_a_targeted_evaluation_are_untargeted(attackable_runs: dict[str, Path]) -> None:
    """The checks attack untargeted, so Square's targeted attack loss has nothing to be compared with: no black-box check."""
    config = AttackConfig(attack=("square-5",), eps=("8/255",), images=3, goal="hide:aeroplane")
    assert names(attack([str(attackable_runs["seg"])], config)) == [
        "zero gradients",
        "more steps",
        "large budget",
        "noise",
    ]
