"""One process, or several that work together as ranks: who writes, what all agree on, sums over all of them.

torchrun starts the processes and sets RANK, LOCAL_RANK and WORLD_SIZE. Alone, each function here gives back what it is
given, and costs nothing. Source: torch.distributed; what Accelerate wraps stands in training/loop.py.
"""

import atexit
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

K = TypeVar("K")
T = TypeVar("T")
V = TypeVar("V")


def world_size() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    return int(os.environ.get("RANK", "0")) if world_size() > 1 else 0


def local_rank() -> int:
    return int(os.environ.get("LOCAL_RANK", "0")) if world_size() > 1 else 0


def local_world_size() -> int:
    """How many of them are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if world_size() > 1 else 1


def is_main_process() -> bool:
    """Whether this process writes files and speaks."""
    return rank() == 0


def init_process_group(device: "torch.device") -> None:
    """Meet the other processes: gloo for what lies on a CPU, nccl for GPUs. Once a process; alone, nothing."""
    if world_size() == 1:
        return
    import torch

    if device.type == "cuda":
        torch.cuda.set_device(device)
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
        atexit.register(torch.distributed.destroy_process_group)  # its threads, left alone, abort a process that ends


def all_reduce_sum(value: "Tensor") -> "Tensor":
    """The sum over the ranks, outside of any gradient."""
    if world_size() > 1:
        import torch

        torch.distributed.all_reduce(value)
    return value


def all_reduce_max(values: list[float]) -> list[float]:
    """Each place's largest value over the ranks: what all of them go by."""
    if world_size() == 1:
        return values
    import torch

    together = torch.tensor(values, dtype=torch.float64)
    torch.distributed.all_reduce(together, torch.distributed.ReduceOp.MAX)
    return together.tolist()


def broadcast_object(value: T) -> T:
    """The first rank's value, on all."""
    if world_size() == 1:
        return value
    import torch

    held = [value]
    torch.distributed.broadcast_object_list(held, src=0)
    return held[0]


def all_gather_object(value: T) -> list[T]:
    """Every rank's value, on all."""
    if world_size() == 1:
        return [value]
    import torch

    held: list[Any] = [None] * world_size()
    torch.distributed.all_gather_object(held, value)
    return held


def all_gather_dict(mine: dict[K, V]) -> dict[K, V]:
    """Every rank's share as one, on all."""
    return {key: value for share in all_gather_object(mine) for key, value in share.items()}


def broadcast(tensors: "Iterable[Tensor]") -> None:
    """Fill the tensors with the first rank's."""
    if world_size() == 1:
        return
    import torch

    for tensor in tensors:
        torch.distributed.broadcast(tensor, src=0)


def barrier() -> None:
    """Until all ranks are here: what the first one wrote can be read."""
    if world_size() > 1:
        import torch

        torch.distributed.barrier()
