"""The SEA ensemble's members: APGD on a segmenter that starts in a larger ball and keeps what leaves fewest pixels right.

Source: Croce et al., arXiv 2306.12941: losses JS, masked and balanced cross-entropy; radii 2, 1.5 and 1 epsilon for 3 : 3 :
4 of the steps. The masked losses fall with every pixel that turns, so whether a step helped is told by the cross-entropy of
all pixels, as in the authors' published code. SEA itself is the worst of the three for each image; who scores them picks it,
on the images that are scored.
"""

from dataclasses import replace

import torch
from torch import Tensor

from vocctl.attacks import objectives
from vocctl.attacks.gradient import apgd
from vocctl.attacks.objectives import AttackGoal, Forward, Objective
from vocctl.attacks.steps import random_start
from vocctl.attacks.threat import Threat
from vocctl.labels import IGNORE

SEA_LOSSES = ("js", "masked", "balanced")
RADII = ((2.0, 0.3), (1.5, 0.3), (1.0, 0.4))  # times epsilon, share of the steps


def pixel_error_rate(logits: Tensor, labels: Tensor) -> Tensor:
    """(B,) share of a image's labeled pixels that are predicted as another. logits (B, K, H, W); labels (B, H, W)."""
    keep = labels != IGNORE
    held = labels.where(keep, 0).long()
    right = (logits.gather(1, held[:, None])[:, 0] >= logits.amax(dim=1)) & keep
    return 1 - right.flatten(1).sum(1) / keep.flatten(1).sum(1).clamp(min=1)


def sea_member(
    forward: Forward,
    images: Tensor,
    labels: Tensor,
    objective: Objective,
    threat: Threat,
    *,
    steps: int,
    generator: torch.Generator,
) -> Tensor:
    """One of the three runs, from a random start. labels: (B, H, W), what is to be no longer predicted."""
    adv, judge = None, objectives.objective("ce", AttackGoal(away=labels))
    for radius, share in RADII:
        wider = replace(threat, epsilon=radius * threat.epsilon)
        start = random_start(images, wider, generator) if adv is None else wider.project(adv, images)
        adv = apgd(
            forward, images, objective, wider,
            steps=max(round(share * steps), 1), start=start, judge=judge,
            rank=lambda logits: pixel_error_rate(logits, labels),
        )  # fmt: skip
    assert adv is not None
    return adv
