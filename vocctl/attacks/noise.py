"""Random noise: the control that every attack has to beat."""

import torch
from torch import Tensor

from vocctl.attacks.draws import Generators, draw_per_image
from vocctl.attacks.objectives import Forward, Objective
from vocctl.attacks.steps import random_direction, random_start
from vocctl.attacks.threat import Threat


def noise(
    forward: Forward, images: Tensor, objective: Objective, threat: Threat, *,
    steps: int, step_length: float | None, generators: Generators,
) -> Tensor:  # fmt: skip
    """Change images (B, 3, H, W) at random. Only images, threat and generators are used.

    linf: each channel uniform in [-epsilon, epsilon]. l2: a random direction with norm epsilon.
    """
    if threat.norm == "linf":
        return random_start(images, threat, generators)

    def draw(generator: torch.Generator) -> Tensor:
        return random_direction(images.shape[1:], generator)

    return threat.project(images + threat.epsilon * draw_per_image(draw, generators, images.device), images)
