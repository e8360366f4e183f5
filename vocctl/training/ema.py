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
        self._pairs: list[tuple[Tensor, Tensor]] = []  # averaged, current; gathered at the first update

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after this step (the first is 1); model is the same at each, and stays where it lies."""
        if not self.decay:
            return
        keep = min(self.decay, (1 + step) / (10 + step))
        if not self._pairs:
            self._pairs = list(zip(self.model.state_dict().values(), model.state_dict().values(), strict=True))
        floating = [pair for pair in self._pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([averaged for averaged, _ in floating], [current for _, current in floating], 1 - keep)
        if counts := [pair for pair in self._pairs if not pair[0].is_floating_point()]:
            torch._foreach_copy_([averaged for averaged, _ in counts], [current for _, current in counts])
