"""A moving average of a model's weights, which scores better than the last step's.

Source: Polyak averaging, as timm's ModelEmaV3 does it: decay grows with the first steps, buffers (batch norm's means) are
averaged like weights.
"""

import copy

import torch
from torch import Tensor, nn


class MovingAverage:
    """Holds the averaged model in `model`. decay: in [0, 1); 0 keeps no average and `model` is the one that trains."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False) if decay else model

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after this step (the first is 1)."""
        if not self.decay:
            return
        keep = min(self.decay, (1 + step) / (10 + step))
        averaged, current = list(_tensors(self.model)), list(_tensors(model))
        floating = [place for place, tensor in enumerate(averaged) if tensor.is_floating_point()]
        torch._foreach_lerp_([averaged[i] for i in floating], [current[i] for i in floating], 1 - keep)
        for place, tensor in enumerate(averaged):
            if not tensor.is_floating_point():
                tensor.copy_(current[place])


def _tensors(model: nn.Module) -> list[Tensor]:
    return list(model.state_dict().values())
