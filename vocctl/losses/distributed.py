"""Sums over the ranks that share a batch, through which gradients flow."""

from typing import Any

import torch
from torch import Tensor

from vocctl.distributed import all_reduce_sum, world_size


def all_reduce_sum_autograd(value: Tensor) -> Tensor:
    """The sum over the ranks; alone, the value itself.

    Backward sums the gradients too. When each parameter's gradients are then averaged over the ranks, as
    DistributedDataParallel does, a loss made of totals has the gradient of one process with the whole batch.
    """
    return value if world_size() == 1 else _Total.apply(value)


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return all_reduce_sum(value.clone())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return all_reduce_sum(gradient.clone())
