"""FGSM, PGD and APGD: attacks that follow the gradient of an objective inside the ball of a threat model.

Sources: Goodfellow et al., arXiv 1412.6572 (FGSM); Madry et al., arXiv 1706.06083 (PGD); Croce and Hein, arXiv 2003.01690
(APGD). SegPGD and CosPGD are PGD with other losses, see losses/adversarial.py.

Symbols as in the papers: x_0 is the clean image (`images`), x the iterate, f the objective, P the projection onto the ball
and [0, 1] (`threat.project`), d the direction of steepest ascent (`steepest_ascent`): the sign of the gradient for linf, the
gradient divided by its norm for l2. images and results: (B, 3, H, W) in [0, 1]. Results are not yet rounded to 8 bits.

To add an attack, write a function with the signature of fgsm, and a row in table.py.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vocctl.attacks.objectives import Forward, Objective
from vocctl.attacks.steps import random_start, steepest_ascent
from vocctl.attacks.threat import Threat, per_image

PGD_STEP_FACTOR = (
    2.5  # step length * steps / epsilon: all steps together are longer than the ball is wide. arXiv 1706.06083
)
MOMENTUM = 0.75  # APGD: alpha, the weight of the new step
MIN_INCREASES = 0.75  # APGD: rho in condition 1, the least fraction of steps that have to increase f


def input_gradient(
    forward: Forward, adv: Tensor, objective: Objective, step_fraction: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradient of each image's objective with respect to the image.

    Returns the gradient (B, 3, H, W), the objective (B,) and the logits; all three are detached.
    """
    adv = adv.detach().requires_grad_()
    logits = forward(adv)
    values = objective(logits, step_fraction)
    (gradient,) = torch.autograd.grad(values.sum(), adv)
    return gradient, values.detach(), logits.detach()


def fgsm(
    forward: Forward, images: Tensor, objective: Objective, threat: Threat, *, steps: int, generator: torch.Generator
) -> Tensor:
    """x = P(x_0 + epsilon d(grad f(x_0))). steps and generator are not used: FGSM is one step from the clean image."""
    gradient, _, _ = input_gradient(forward, images, objective, 0.0)
    return threat.project(images + threat.epsilon * steepest_ascent(gradient, threat.norm), images)


def pgd(
    forward: Forward, images: Tensor, objective: Objective, threat: Threat, *, steps: int, generator: torch.Generator
) -> Tensor:
    """The last iterate of projected gradient ascent from a random start."""
    start = random_start(images, threat, generator)
    return pgd_from(forward, images, objective, threat, steps=steps, start=start)


def pgd_from(
    forward: Forward,
    images: Tensor,
    objective: Objective,
    threat: Threat,
    *,
    steps: int,
    start: Tensor,
    step_length: float | None = None,
) -> Tensor:
    """PGD from start: x_next = P(x + step_length * d(grad f(x))).

    step_length: length of each step in the threat's norm; None: PGD_STEP_FACTOR * epsilon / steps.
    """
    if step_length is None:
        step_length = PGD_STEP_FACTOR * threat.epsilon / steps
    x = start
    for step in range(steps):
        gradient, _, _ = input_gradient(forward, x, objective, step / steps)
        x = threat.project(x + step_length * steepest_ascent(gradient, threat.norm), images)
    return x


def checkpoints(steps: int) -> list[int]:
    """The steps w_j after which APGD may halve its step length: w_j = ceil(p_j * steps). arXiv 2003.01690, section 3."""
    p = [0.0, 0.22]
    while p[-1] < 1:
        p.append(p[-1] + max(p[-1] - p[-2] - 0.03, 0.06))
    return sorted({math.ceil(round(fraction * steps, 6)) for fraction in p[1:] if fraction <= 1})


def apgd(
    forward: Forward, images: Tensor, objective: Objective, threat: Threat, *, steps: int, generator: torch.Generator
) -> Tensor:
    """The iterate with the highest objective of APGD from a random start."""
    start = random_start(images, threat, generator)
    return apgd_from(forward, images, objective, threat, steps=steps, start=start)


def apgd_from(
    forward: Forward,
    images: Tensor,
    objective: Objective,
    threat: Threat,
    *,
    steps: int,
    start: Tensor,
    progress_objective: Objective | None = None,
    selection_score: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """APGD from start (arXiv 2003.01690, algorithm 1). A step costs one forward and one backward pass.

    objective: its gradient is followed. progress_objective: what APGD calls f: it decides whether a step made progress; None:
    the objective. A loss over the pixels that are still correct needs one, because it falls as the attack succeeds.
    selection_score: logits to (B,); for each image the iterate with the highest score is returned. None: f.
    """

    def measure(x: Tensor) -> _Measurement:
        gradient, value, logits = input_gradient(forward, x, objective, 0.0)
        if progress_objective is not None:
            value = progress_objective(logits, 0.0)
        return _Measurement(gradient, value, value if selection_score is None else selection_score(logits))

    state = _ApgdState.at_start(start, measure(start), threat)
    checkpoint_steps = checkpoints(steps)
    for step in range(1, steps):
        state.move(images, threat, first=step == 1)
        state.record(measure(state.x))
        if step in checkpoint_steps:
            state.halve_step_length(step)
    state.move(images, threat, first=steps == 1)
    with torch.no_grad():  # no step follows the last iterate, so it needs no gradient
        logits = forward(state.x)
        last_score = selection_score(logits) if selection_score else (progress_objective or objective)(logits, 0.0)
    return _where(last_score > state.best_score, state.x, state.best)


class _Measurement(NamedTuple):
    """gradient: (B, 3, H, W) of the objective. value: (B,) f. score: (B,) by which the best iterate is selected."""

    gradient: Tensor
    value: Tensor
    score: Tensor


def _where(condition: Tensor, images: Tensor, other_images: Tensor) -> Tensor:
    """Choose whole images by a (B,) condition."""
    return torch.where(per_image(condition, images), images, other_images)


@dataclass
class _ApgdState:
    """Each image has its own step length and its own history: tensors are (B, 3, H, W) or (B,)."""

    x: Tensor
    x_previous: Tensor
    gradient: Tensor  # of the objective at x
    value: Tensor  # f at the latest measured iterate
    step_length: Tensor  # eta
    x_max: Tensor  # the iterate with the highest f, where a halved step continues
    gradient_max: Tensor
    value_max: Tensor
    best: Tensor  # the iterate with the highest selection score, which is returned
    best_score: Tensor
    n_increases: Tensor  # steps since the last checkpoint that increased f
    value_max_at_checkpoint: Tensor
    halved_at_checkpoint: Tensor  # bool
    last_checkpoint: int = 0

    @classmethod
    def at_start(cls, start: Tensor, at_start: _Measurement, threat: Threat) -> "_ApgdState":
        gradient, value, score = at_start
        return cls(
            x=start, x_previous=start, gradient=gradient, value=value,
            step_length=torch.full_like(value, 2 * threat.epsilon),
            x_max=start, gradient_max=gradient, value_max=value, best=start, best_score=score,
            n_increases=torch.zeros_like(value), value_max_at_checkpoint=value,
            halved_at_checkpoint=torch.zeros_like(value, dtype=torch.bool),
        )  # fmt: skip

    def move(self, images: Tensor, threat: Threat, *, first: bool) -> None:
        """z = P(x + eta d(grad)), then x_next = P(x + alpha (z - x) + (1 - alpha) (x - x_previous))."""
        x = self.x
        x_next = threat.project(
            x + per_image(self.step_length, x) * steepest_ascent(self.gradient, threat.norm), images
        )
        if not first:
            x_next = threat.project(x + MOMENTUM * (x_next - x) + (1 - MOMENTUM) * (x - self.x_previous), images)
        self.x_previous, self.x = x, x_next

    def record(self, measured: _Measurement) -> None:
        """Update the maxima and the number of increases with the measurement at x."""
        self.gradient = measured.gradient
        self.n_increases = self.n_increases + (measured.value > self.value)
        self.value = measured.value
        increased = measured.value > self.value_max
        self.value_max = torch.where(increased, measured.value, self.value_max)
        self.x_max = _where(increased, self.x, self.x_max)
        self.gradient_max = _where(increased, self.gradient, self.gradient_max)
        self.best = _where(measured.score > self.best_score, self.x, self.best)
        self.best_score = torch.maximum(measured.score, self.best_score)

    def halve_step_length(self, checkpoint: int) -> None:
        """Halve the step length of the images that meet condition 1 or 2, and let them continue from x_max.

        Condition 1: fewer than rho of the steps since the last checkpoint increased f. Condition 2: the step length was not
        halved at the last checkpoint, and the highest f has not increased since.
        """
        too_few = self.n_increases < MIN_INCREASES * (checkpoint - self.last_checkpoint)
        no_new_maximum = ~self.halved_at_checkpoint & (self.value_max <= self.value_max_at_checkpoint)
        halve = too_few | no_new_maximum
        self.step_length = torch.where(halve, self.step_length / 2, self.step_length)
        self.x = _where(halve, self.x_max, self.x)
        self.gradient = _where(halve, self.gradient_max, self.gradient)
        self.x_previous = _where(halve, self.x_max, self.x_previous)
        self.n_increases = torch.zeros_like(self.n_increases)
        self.halved_at_checkpoint, self.value_max_at_checkpoint = halve, self.value_max
        self.last_checkpoint = checkpoint
