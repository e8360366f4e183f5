"""SEA, the segmentation ensemble attack: APGD with a shrinking radius, once for each of three losses.

Source: Croce et al., arXiv 2306.12941. The losses are the Jensen-Shannon divergence, the masked cross-entropy and the
class-balanced masked cross-entropy (rows sea-js, sea-masked and sea-balanced of attacks/table.py). The result of SEA is the
worst of the three for each image; the caller selects it on the images that it evaluates. The class-balanced loss has the
fixed class weights of the authors, not the sizes of the classes within the image.
"""

from dataclasses import replace

from torch import Tensor

from vocctl.attacks.draws import Generators
from vocctl.attacks.gradient import apgd_from
from vocctl.attacks.objectives import AttackObjective, Forward
from vocctl.attacks.steps import random_start
from vocctl.attacks.threat import Threat
from vocctl.losses.adversarial import error_rate

RADII = (2.0, 1.5, 1.0)  # of the three stages, as multiples of epsilon


def stage_steps(steps: int) -> tuple[int, int, int]:
    """The steps of each stage, about 3 : 3 : 4: the first two are rounded down, and the last has the rest."""
    early = 3 * steps // 10
    return early, early, steps - 2 * early


def sea_member(
    forward: Forward, images: Tensor, objective: AttackObjective, threat: Threat, *,
    steps: int, step_length: float | None, generators: Generators,
) -> Tensor:  # fmt: skip
    """One of the three runs of SEA, from a random start. The goal of the objective is untargeted, its labels are (B, H, W).

    For each image the iterate with the most wrong pixels is returned. The masked losses fall with every pixel that becomes
    wrong, so the cross-entropy over all pixels decides whether a step made progress, as in the authors' published code.
    step_length is not used: APGD adapts it.
    """
    (term,) = objective.goal.terms
    cross_entropy = AttackObjective("ce", objective.goal)
    balls = [replace(threat, epsilon=radius * threat.epsilon) for radius in RADII]
    adv = random_start(images, balls[0], generators)
    for ball, stage in zip(balls, stage_steps(steps), strict=True):
        adv = ball.project(adv, images)
        if stage > 0:
            adv = apgd_from(
                forward, images, objective, ball,
                steps=stage, start=adv, progress_objective=cross_entropy,
                selection_score=lambda logits: error_rate(logits, term.labels),
            )  # fmt: skip
    return adv
