"""Attacks that follow the gradient: FGSM, PGD with restarts, APGD. Written over an objective and a threat alone.

Sources: Goodfellow et al., arXiv 1412.6572 (FGSM); Madry et al., arXiv 1706.06083 (PGD); Croce and Hein, arXiv 2003.01690
(APGD). images: (B, 3, H, W) in [0, 1]; what is handed back is inside the threat, not yet rounded to 8 bits.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from vocctl.attacks.objectives import Forward, Objective
from vocctl.attacks.steps import random_start, steepest_ascent
from vocctl.attacks.threat import Threat, per_image

STEP = 2.5  # a PGD step is STEP * epsilon / steps: the whole ball can be crossed. Source: arXiv 1706.06083, appendix
MOMENTUM = 0.75  # of APGD: the share of the new step
RISES = 0.75  # APGD halves a step after fewer steps that raised the objective than this share


def input_gradient(forward: Forward, adv: Tensor, objective: Objective, done: float) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient of each image's value with respect to it (B, 3, H, W), the values (B,), the logits."""
    adv = adv.detach().requires_grad_()
    logits = forward(adv)
    values = objective(logits, done)
    (gradient,) = torch.autograd.grad(values.sum(), adv)
    return gradient, values.detach(), logits.detach()


def fgsm(forward: Forward, images: Tensor, objective: Objective, threat: Threat) -> Tensor:
    """One step of length epsilon from the image itself."""
    gradient, _, _ = input_gradient(forward, images, objective, 0.0)
    return threat.project(images + threat.epsilon * steepest_ascent(gradient, threat.norm), images)


def pgd(
    forward: Forward,
    images: Tensor,
    objective: Objective,
    threat: Threat,
    *,
    steps: int,
    start: Tensor,
    step: float | None = None,
) -> Tensor:
    """The last iterate of so many steps from start. step: length of each, in the norm; left out, STEP * epsilon / steps."""
    length = STEP * threat.epsilon / steps if step is None else step
    adv = start
    for number in range(steps):
        gradient, _, _ = input_gradient(forward, adv, objective, number / steps)
        adv = threat.project(adv + length * steepest_ascent(gradient, threat.norm), images)
    return adv


def with_restarts(
    attack: Callable[[Tensor], Tensor],
    forward: Forward,
    images: Tensor,
    judge: Objective,
    threat: Threat,
    *,
    restarts: int,
    generator: torch.Generator,
) -> Tensor:
    """attack(start) from so many random starts; of each image the result that judge values highest. One: its result."""
    best = attack(random_start(images, threat, generator))
    if restarts == 1:
        return best
    reached = evaluate(forward, best, judge)
    for _ in range(restarts - 1):
        adv = attack(random_start(images, threat, generator))
        values = evaluate(forward, adv, judge)
        best = torch.where(per_image(values > reached, best), adv, best)
        reached = torch.maximum(values, reached)
    return best


@torch.no_grad()
def evaluate(forward: Forward, adv: Tensor, objective: Objective) -> Tensor:
    """(B,) the objective, with its weights as at the first step."""
    return objective(forward(adv), 0.0)


def checkpoints(steps: int) -> list[int]:
    """Steps after which APGD looks whether to halve its step; arXiv 2003.01690, section 3."""
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return sorted({math.ceil(round(share * steps, 6)) for share in shares[1:] if share <= 1})


def apgd(
    forward: Forward,
    images: Tensor,
    objective: Objective,
    threat: Threat,
    *,
    steps: int,
    start: Tensor,
    judge: Objective | None = None,
    rank: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """PGD with momentum and a step length that each image halves when it gets stuck; the best iterate of each image.

    judge: what tells whether an image gets on, where the objective, whose gradient is followed, falls as the attack
    succeeds. rank: logits to (B,) by which the best is chosen. Left out, each is the one before. A step is one forward and
    backward pass.
    """

    def judged(logits: Tensor, values: Tensor) -> Tensor:
        return values if judge is None else judge(logits, 0.0)

    adv = start
    gradient, values, logits = input_gradient(forward, adv, objective, 0.0)
    values = judged(logits, values)
    kept, kept_rank = adv.clone(), rank(logits) if rank else values.clone()
    top, top_adv, top_gradient = values.clone(), adv.clone(), gradient.clone()  # where a halved step goes on from
    length = torch.full_like(values, 2 * threat.epsilon)
    before, marks, last_mark = adv, checkpoints(steps), 0
    rises, halved_before, top_before = torch.zeros_like(values), torch.zeros_like(values, dtype=torch.bool), top.clone()
    for number in range(1, steps + 1):
        forth = threat.project(adv + per_image(length, adv) * steepest_ascent(gradient, threat.norm), images)
        if number > 1:
            forth = threat.project(adv + MOMENTUM * (forth - adv) + (1 - MOMENTUM) * (adv - before), images)
        before, adv = adv, forth
        if number == steps:  # nothing is stepped from here: a forward pass tells how it ranks
            with torch.no_grad():
                logits = forward(adv)
                ranked = rank(logits) if rank else (judge or objective)(logits, 0.0)
            return torch.where(per_image(ranked > kept_rank, adv), adv, kept)
        gradient, now, logits = input_gradient(forward, adv, objective, 0.0)
        now = judged(logits, now)
        rises += now > values
        values = now
        better = now > top
        top = torch.where(better, now, top)
        top_adv = torch.where(per_image(better, adv), adv, top_adv)
        top_gradient = torch.where(per_image(better, adv), gradient, top_gradient)
        ranked = rank(logits) if rank else now
        kept = torch.where(per_image(ranked > kept_rank, adv), adv, kept)
        kept_rank = torch.maximum(ranked, kept_rank)
        if number in marks:
            stuck = (rises < RISES * (number - last_mark)) | (~halved_before & (top <= top_before))
            length = torch.where(stuck, length / 2, length)
            where = per_image(stuck, adv)
            adv, gradient = torch.where(where, top_adv, adv), torch.where(where, top_gradient, gradient)
            before = torch.where(where, top_adv, before)
            rises, halved_before, top_before, last_mark = torch.zeros_like(rises), stuck, top.clone(), number
    return kept
