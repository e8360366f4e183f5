"""Each check passes what is sound, and fails what a weak attack looks like."""

import pytest
import torch

from vocctl.robustness.sanity_checks import (
    Check,
    black_box_is_weaker,
    budget_is_left,
    large_budget,
    more_steps,
    noise_is_weaker,
    zero_gradients,
)


@pytest.mark.parametrize(
    ("sound", "weak"),
    [
        (zero_gradients([torch.ones(2, 3, 4, 4)]), zero_gradients([torch.zeros(2, 3, 4, 4)])),
        (more_steps(0.4, 0.6, (5, 20)), more_steps(0.6, 0.4, (5, 20))),
        (zero_gradients([torch.zeros(1, 3, 4, 4), torch.ones(2, 3, 4, 4)]), zero_gradients([torch.zeros(1, 3, 1, 1)])),
        (large_budget(0.01, 0.5), large_budget(0.3, 0.5)),
        (large_budget(0.0, 0.0), large_budget(0.1, 0.0)),
        (budget_is_left(0.9, 1.0), budget_is_left(0.2, 1.0)),
        (noise_is_weaker(0.1, {"fgsm": 0.6}), noise_is_weaker(0.4, {"pgd-20": 0.6, "adv:one": 0.1})),
        (black_box_is_weaker(0.3, 0.6), black_box_is_weaker(0.6, 0.3)),
    ],
)
def test_checks(sound: Check, weak: Check):
    assert sound.passed
    assert not weak.passed
    assert weak.means


def test_noise_is_held_against_the_weakest_attack():
    check = noise_is_weaker(0.4, {"pgd-20": 0.6, "adv:one": 0.1})
    assert "0.100 by adv:one" in check.measured
    assert "adv:one" in check.means
