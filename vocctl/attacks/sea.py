"""SEA, the segmentation ensemble attack: APGD with a shrinking radius, once for each of three losses.

Source: Croce et al., arXiv 2306.12941. The losses are the Jensen-Shannon divergence, the masked cross-entropy and the
class-balanced masked cross-entropy (rows sea-js, sea-masked and sea-balanced of attacks/table.py). The result of SEA is the
worst of the three for each image; the caller selects it on the images that it evaluates.
"""

from dataclasses import replace

import torch
from torch import Tensor

from vocctl.attacks.gradient import apgd_from
from vocctl.attacks.objectives import AttackObjective, Forward, pixel_error_rate
from vocctl.attacks.steps import random_start
from vocctl.attacks.threat import Threat

# radius as a multiple of epsilon, and the fraction of the steps at that radius
RADIUS_SCHEDULE = ((2.0, 0.3), (1.5, 0.3), (1.0, 0.4))


def sea_member(
    forward: Forward,
    images: Tensor,
    objective: AttackObjective,
    threat: Threat,
    *,
    steps: int,
    generator: torch.Generator,
) -> Tensor:
    """One of the three runs of SEA, from a random start. The goal of the objective is untargeted, its labels are (B, H, W).

    For each image the iterate with the most wrong pixels is returned. The masked losses fall with every pixel that becomes
    wrong, so the cross-entropy over all pixels decides whether a step made progress, as in the authors' published code.
    """
    (term,) = objective.goal.terms
    cross_entropy = AttackObjective("ce", objective.goal)
    adv = images
    for stage, (radius, fraction) in enumerate(RADIUS_SCHEDULE):
        ball = replace(threat, epsilon=radius * threat.epsilon)
        start = random_start(images, ball, generator) if stage == 0 else ball.project(adv, images)
        adv = apgd_from(
            forward, images, objective, ball,
            steps=max(round(fraction * steps), 1), start=start, progress_objective=cross_entropy,
            selection_score=lambda logits: pixel_error_rate(logits, term.labels),
        )  # fmt: skip
    return adv
