"""The two things that an iterative attack does differently for each norm: its random start and its ascent direction."""

import torch
from torch import Tensor

from vocctl.attacks.threat import Threat, norms, per_image


def random_start(images: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
    """Sample uniformly from the ball around images (B, 3, H, W), then clip to [0, 1]."""
    return threat.project(images + threat.epsilon * _sample_unit_ball(images, threat.norm, generator), images)


def _sample_unit_ball(images: Tensor, norm: str, generator: torch.Generator) -> Tensor:
    """linf: each channel uniform in [-1, 1]. l2: a random direction of length u^(1 / dimensions), u uniform in [0, 1]."""
    sample = torch.empty(images.shape, dtype=torch.float32)
    if norm == "linf":
        return sample.uniform_(-1, 1, generator=generator).to(images.device)
    sample.normal_(generator=generator)
    dimensions = sample[0].numel()
    radius = torch.rand(len(sample), generator=generator) ** (1 / dimensions)
    return (sample * per_image(radius / norms(sample, "l2"), sample)).to(images.device)


def steepest_ascent(gradient: Tensor, norm: str) -> Tensor:
    """The unit step that raises a linear function most. gradient: (B, 3, H, W).

    linf: the sign of the gradient. l2: the gradient divided by its norm. A gradient of zero gives a step of zero.
    """
    if norm == "linf":
        return gradient.sign()
    return gradient / per_image(norms(gradient, "l2").clamp(min=1e-12), gradient)
