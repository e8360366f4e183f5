"""One process, or several of a distributed run: who writes files, and what they exchange.

torchrun starts the processes and sets RANK, LOCAL_RANK and WORLD_SIZE. In a single process each function returns its
argument and costs nothing. torch is imported only where it is needed.
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
    """Number of processes that torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """This process's number, from 0."""
    return int(os.environ.get("RANK", "0")) if world_size() > 1 else 0


def local_rank() -> int:
    """This process's number on its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0")) if world_size() > 1 else 0


def local_world_size() -> int:
    """Number of processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if world_size() > 1 else 1


def is_main_process() -> bool:
    """Whether this process writes files and prints."""
    return rank() == 0


def init_process_group(device: "torch.device") -> None:
    """Join the other processes, once: with gloo on CPUs, with nccl on GPUs. Does nothing in a single process."""
    if world_size() == 1:
        return
    import torch

    if device.type == "cuda":
        torch.cuda.set_device(device)
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
        atexit.register(torch.distributed.destroy_process_group)  # its threads would abort a process that exits


def all_reduce_sum(value: "Tensor") -> "Tensor":
    """Sum over the processes, without a gradient."""
    if world_size() > 1:
        import torch

        value = value.clone()
        torch.distributed.all_reduce(value)
    return value


def all_reduce_max(values: list[float]) -> list[float]:
    """The largest of each value over the processes."""
    if world_size() == 1:
        return values
    import torch

    tensor = torch.tensor(values, dtype=torch.float64)
    torch.distributed.all_reduce(tensor, torch.distributed.ReduceOp.MAX)
    return tensor.tolist()


def broadcast_object(value: T) -> T:
    """The main process's value, in every process."""
    if world_size() == 1:
        return value
    import torch

    objects = [value]
    torch.distributed.broadcast_object_list(objects, src=0)
    return objects[0]


def all_gather_object(value: T) -> list[T]:
    """The values of all processes, in every process."""
    if world_size() == 1:
        return [value]
    import torch

    objects: list[Any] = [None] * world_size()
    torch.distributed.all_gather_object(objects, value)
    return objects


def all_gather_dict(local: dict[K, V]) -> dict[K, V]:
    """The entries of all processes' dictionaries, in every process."""
    return {key: value for part in all_gather_object(local) for key, value in part.items()}


def broadcast(tensors: "Iterable[Tensor]") -> None:
    """Overwrite the tensors with the main process's."""
    if world_size() == 1:
        return
    import torch

    for tensor in tensors:
        torch.distributed.broadcast(tensor, src=0)


def barrier() -> None:
    """Wait until all processes are here: then what the main process wrote can be read."""
    if world_size() > 1:
        import torch

        torch.distributed.barrier()
