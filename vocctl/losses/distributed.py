"""A sum over all processes through which gradients flow. Losses use it to divide by the pixels of the whole batch."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from vocctl.distributed import all_reduce_sum, world_size


def all_reduce_sum_autograd(value: Tensor) -> Tensor:
    """The sum of value over all processes; the value itself in a single process.

    Backward sums the gradients over the processes too. DistributedDataParallel then averages the gradient of each parameter,
    so that a loss made of these sums has the gradient that one process with the whole batch would compute.
    """
    return value if world_size() == 1 else _AllReduceSum.apply(value)


class _AllReduceSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, value: Tensor) -> Tensor:
        return all_reduce_sum(value.clone())

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        return all_reduce_sum(gradient.clone())
