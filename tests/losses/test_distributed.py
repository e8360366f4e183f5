"""The all-reduce with gradients; tests/tasks/test_distributed.py runs it in real processes."""

import torch

from vocctl.losses import distributed
from vocctl.losses.distributed import all_reduce_sum_autograd


def test_single_process_returns_the_value():
    value = torch.tensor(3.0)
    assert all_reduce_sum_autograd(value) is value


def test_forward_and_backward_both_sum_over_processes(monkeypatch):
    """A second process has the same values: the total is 2 x, and the gradient of total^2 is summed over both."""
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "all_reduce_sum", lambda value: value.mul_(2))
    value = torch.tensor(3.0, requires_grad=True)
    total = all_reduce_sum_autograd(value)
    (total**2).backward()
    assert total.item() == 6
    assert value.grad.item() == 2 * 2 * 6  # 2 processes, each with the gradient 2 * total
    assert value.item() == 3  # not changed in place
