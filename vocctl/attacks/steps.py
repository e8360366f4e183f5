"""The two things that an iterative attack does differently for each norm: its random start and its ascent direction."""

import torch
from torch import Tensor

from vocctl.attacks.draws import Generators, draw_per_image
from vocctl.attacks.threat import Threat, norms, per_image


def random_start(images: Tensor, threat: Threat, generators: Generators) -> Tensor:
    """Sample uniformly from the ball around each image of (B, 3, H, W), then clip to [0, 1]."""

    def draw(generator: torch.Generator) -> Tensor:
        return _sample_unit_ball(images.shape[1:], threat.norm, generator)

    return threat.project(images + threat.epsilon * draw_per_image(draw, generators, images.device), images)


def random_direction(image_shape: torch.Size, generator: torch.Generator) -> Tensor:
    """A random direction in the space of images (3, H, W), of L2 norm 1."""
    sample = torch.empty(image_shape, dtype=torch.float32).normal_(generator=generator)
    return sample / norms(sample[None], "l2")


def _sample_unit_ball(image_shape: torch.Size, norm: str, generator: torch.Generator) -> Tensor:
    """linf: each channel uniform in [-1, 1]. l2: a random direction of length u^(1 / dimensions), u uniform in [0, 1]."""
    if norm == "linf":
        return torch.empty(image_shape, dtype=torch.float32).uniform_(-1, 1, generator=generator)
    direction = random_direction(image_shape, generator)
    return direction * torch.rand((), generator=generator) ** (1 / direction.numel())


def steepest_ascent(gradient: Tensor, norm: str) -> Tensor:
    """The unit step that raises a linear function most. gradient: (B, 3, H, W).

    linf: the sign of the gradient. l2: the gradient divided by its norm. A gradient of zero gives a step of zero.
    """
    if norm == "linf":
        return gradient.sign()
    return gradient / per_image(norms(gradient, "l2").clamp(min=1e-12), gradient)
