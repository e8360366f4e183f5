"""Random noise: the control that every attack has to beat."""

import torch
from torch import Tensor

from vocctl.attacks.objectives import Forward, Objective
from vocctl.attacks.steps import random_start
from vocctl.attacks.threat import Threat, norms, per_image


def noise(
    forward: Forward, images: Tensor, objective: Objective, threat: Threat, *, steps: int, generator: torch.Generator
) -> Tensor:
    """Change images (B, 3, H, W) at random. forward, objective and steps are not used.

    linf: each channel uniform in [-epsilon, epsilon]. l2: a random direction with norm epsilon.
    """
    if threat.norm == "linf":
        return random_start(images, threat, generator)
    sample = torch.empty(images.shape, dtype=torch.float32).normal_(generator=generator).to(images.device)
    return threat.project(images + threat.epsilon * sample / per_image(norms(sample, "l2"), sample), images)
