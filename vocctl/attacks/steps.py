"""What an iterative attack does with a norm: where it starts, and which way a gradient sends it."""

import torch
from torch import Tensor

from vocctl.attacks.threat import Threat, norms, per_image


def random_start(images: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
    """A draw from the ball around images (B, 3, H, W), cut to [0, 1]. linf: uniform in the box. l2: uniform in the ball."""
    return threat.project(images + threat.epsilon * _unit_draw(images, threat.norm, generator), images)


def _unit_draw(images: Tensor, norm: str, generator: torch.Generator) -> Tensor:
    draw = torch.empty(images.shape, dtype=torch.float32)
    if norm == "linf":
        return draw.uniform_(-1, 1, generator=generator).to(images.device)
    draw.normal_(generator=generator)
    dimensions = draw[0].numel()
    radius = torch.rand(len(draw), generator=generator) ** (1 / dimensions)
    return (draw * per_image(radius / norms(draw, "l2"), draw)).to(images.device)


def steepest_ascent(gradient: Tensor, norm: str) -> Tensor:
    """The unit step that raises a linear function most: the sign (linf), the normalized gradient (l2). A zero stays zero."""
    if norm == "linf":
        return gradient.sign()
    return gradient / per_image(norms(gradient, "l2").clamp(min=1e-12), gradient)


def noise(images: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
    """The control: a change that knows nothing of the model. linf: uniform in the box. l2: any direction, norm epsilon."""
    if threat.norm == "linf":
        return random_start(images, threat, generator)
    draw = torch.empty(images.shape, dtype=torch.float32).normal_(generator=generator).to(images.device)
    return threat.project(images + threat.epsilon * draw / per_image(norms(draw, "l2"), draw), images)
