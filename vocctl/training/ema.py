"""Exponential moving average (EMA) of a model's weights, which usually scores better than the weights of the last step.

Source: timm's ModelEmaV3. The decay grows during the first steps; buffers (batch norm's running statistics) are
averaged like weights.
"""

import copy

import torch
from torch import Tensor, nn


class MovingAverage:
    """The averaged model, in `model`. decay: in [0, 1); at 0 nothing is averaged and `model` is the trained model."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False) if decay else model
        self._pairs: list[tuple[Tensor, Tensor]] = []  # averaged and current tensors, collected at the first update

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """average = d * average + (1 - d) * current, with d = min(decay, (1 + step) / (10 + step)).

        step: the number of optimizer steps so far, 1 or more. model: the same object at every call.
        """
        if not self.decay:
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        if not self._pairs:
            self._pairs = list(zip(self.model.state_dict().values(), model.state_dict().values(), strict=True))
        floating = [pair for pair in self._pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([averaged for averaged, _ in floating], [current for _, current in floating], 1 - decay)
        if counters := [pair for pair in self._pairs if not pair[0].is_floating_point()]:  # num_batches_tracked
            torch._foreach_copy_([averaged for averaged, _ in counters], [current for _, current in counters])
