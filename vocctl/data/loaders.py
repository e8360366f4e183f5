"""Batches: in an order that the seed decides for training, by equal shapes for scoring."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from vocctl.data.cache import CachedSplit
from vocctl.data.datasets import EvalDataset, Place, TrainDataset
from vocctl.distributed import rank, world_size
from vocctl.seeding import derived_generator


class EpochBatchSampler(Sampler[list[Place]]):
    """Batches of (epoch, index, side) for one epoch, from batch `first` on; the last, smaller one is left out.

    side_at(epoch, batch) gives the side of a batch's crops. The order depends on (seed, epoch) alone. A split smaller
    than a batch is one batch. Of several processes, each takes its own share of every batch.
    """

    def __init__(
        self,
        length: int,
        batch: int,
        seed: int,
        side_at: Callable[[int, int], int],
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.length, self.batch, self.seed, self.side_at = length, min(batch, length), seed, side_at
        self.rank, self.world_size = rank, world_size
        self.epoch, self.first = 0, 0

    def __len__(self) -> int:
        return self.length // self.batch - self.first

    def start_at(self, epoch: int, first: int = 0) -> None:
        self.epoch, self.first = epoch, first

    def __iter__(self) -> Iterator[list[Place]]:
        order = torch.randperm(self.length, generator=derived_generator("order", self.seed, self.epoch)).tolist()
        for number in range(self.first, self.length // self.batch):
            whole = order[number * self.batch : (number + 1) * self.batch]
            side = self.side_at(self.epoch, number)
            yield [(self.epoch, index, side) for index in whole[self.rank :: self.world_size]]


def same_shape_batches(shapes: Sequence[tuple[int, ...]], batch: int) -> list[list[int]]:
    """Places of equal shapes, in batches of at most so many, in the order in which the shapes first occur."""
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, shape in enumerate(shapes):
        by_shape[tuple(shape)].append(index)
    return [group[at : at + batch] for group in by_shape.values() for at in range(0, len(group), batch)]


class SameShapeBatchSampler(Sampler[list[int]]):
    """Batches of images that have one shape, in the order in which the shapes first occur. shared: this rank's share."""

    def __init__(self, split: CachedSplit, batch: int, *, shared: bool = False) -> None:
        batches = same_shape_batches(split.sizes, batch)
        self.batches = batches[rank() :: world_size()] if shared else batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


def train_loader(images: TrainDataset, batches: EpochBatchSampler, *, workers: int, pin: bool) -> DataLoader:
    """(images (B, 3, S, S), targets (B, S, S)), both uint8. Call batches.start_at before each epoch."""
    return _loader(images, batches, workers, pin, stay=True)


def eval_loader(images: EvalDataset, batch: int, *, workers: int, pin: bool, shared: bool = False) -> DataLoader:
    """(indices (B,), images (B, 3, H, W) uint8). shared: the batches are dealt out to the ranks, each to one."""
    return _loader(images, SameShapeBatchSampler(images.split, batch, shared=shared), workers, pin)


def _loader(images: Dataset, batches: Sampler, workers: int, pin: bool, *, stay: bool = False) -> DataLoader:
    """An iterator draws a seed when it starts: from a generator of its own, so that the model's dropout never feels it.

    stay: workers are kept from one epoch to the next; batches are drawn in the main process, and name all that they need.
    """
    own = torch.Generator().manual_seed(0)
    return DataLoader(
        images, batch_sampler=batches, num_workers=workers, pin_memory=pin, generator=own, worker_init_fn=_apart,
        persistent_workers=stay and workers > 0, collate_fn=collated,
    )  # fmt: skip


def collated(samples: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """As default_collate, but images stay channels last, which is how they come and how models take them."""
    return tuple(_stacked(column) for column in zip(*samples, strict=True))


def _stacked(column: tuple[Any, ...]) -> Any:
    if isinstance(column[0], Tensor) and column[0].dim() == 3:  # (3, H, W)
        return torch.stack([image.permute(1, 2, 0) for image in column]).permute(0, 3, 1, 2)
    return default_collate(list(column))


def _apart(worker: int) -> None:
    """Leave the main process's group: a signal to the whole group, as torchrun sends it, is the main process's to heed.

    A worker that died of it would end the run before its state is saved. Workers end with the main process, however it ends.
    """
    if hasattr(os, "setpgid"):  # not on Windows
        os.setpgid(0, 0)
