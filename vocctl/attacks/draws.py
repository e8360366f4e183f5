"""Random draws of attacks: each image has its own generator, so that its draws do not depend on the batch that it is in."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Generators = Sequence[torch.Generator]  # one per image of a batch, on the CPU


def draw_per_image(draw: Callable[[torch.Generator], Tensor], generators: Generators, device: torch.device) -> Tensor:
    """Stack what draw returns for each image's generator. (B, ...) on the device."""
    return torch.stack([draw(generator) for generator in generators]).to(device)
