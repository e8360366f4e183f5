"""Checks that an attack was carried out well, for the mistakes that make a weak attack look like a robust model.

Source: Carlini et al., arXiv 1902.06705, section 5 (iterations, unbounded attacks, noise, black-box). Damage is what the
attack is scored by, higher is worse for the model: 1 - pixel accuracy, or binary cross-entropy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

SLACK = 0.005  # damage that a few images differ by without meaning
LARGE_EPS = 64 / 255


@dataclass(frozen=True)
class Check:
    name: str
    passed: bool
    measured: str
    means: str  # what a failure says


def zero_gradients(gradients: Sequence[Tensor]) -> Check:
    """gradients: (B, 3, H, W) each, of the objective on clean images."""
    share = sum(int((one == 0).sum()) for one in gradients) / sum(one.numel() for one in gradients)
    return Check(
        "zero gradients", share < 0.5, f"{100 * share:.1f} % of the channels have a gradient of 0",
        "gradients vanish: the loss is saturated or the model hides them, and these attacks measure little",
    )  # fmt: skip


def more_steps(few: float, many: float, steps: tuple[int, int]) -> Check:
    return Check(
        "more steps", many >= few - SLACK, f"damage {few:.3f} after {steps[0]} steps, {many:.3f} after {steps[1]}",
        "more steps are weaker: the step length or the loss does not fit, take apgd or cospgd",
    )  # fmt: skip


def large_budget(score: float, clean: float) -> Check:
    return Check(
        "large budget", score <= 0.15 * clean, f"score {100 * score:.1f} at 64/255, {100 * clean:.1f} clean",
        "a budget at which a person fails too does not break the model: gradients are masked, or the loss is wrong",
    )  # fmt: skip


def budget_is_left(l2: float, eps: float) -> Check:
    """l2: mean norm of the changes after rounding to 8 bits. A change of less than half a level a channel rounds away."""
    return Check(
        "rounding", l2 >= 0.5 * eps, f"{l2:.2f} of the budget of {eps:.2f} is left after rounding to 8 bits",
        "images of this size hold no change so small, and the model looks more robust than it is: take a larger eps",
    )  # fmt: skip


def noise_is_weaker(noise: float, attacks: dict[str, float]) -> Check:
    """attacks: damage by name, of which the weakest is held against noise."""
    name = min(attacks, key=lambda one: attacks[one])
    return Check(
        "noise", noise <= attacks[name] + SLACK, f"damage {noise:.3f} by noise, {attacks[name]:.3f} by {name}, the weakest",
        f"noise is as strong as {name}: that attack does not find its way",
    )  # fmt: skip


def black_box_is_weaker(black: float, white: float) -> Check:
    return Check(
        "black box", black <= white + SLACK, f"damage {black:.3f} without gradients, {white:.3f} with them",
        "an attack without gradients is stronger: gradients are masked, so trust the black-box figure",
    )  # fmt: skip
