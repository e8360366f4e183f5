"""Data loaders: batches in a seeded random order for training, batches of equal shapes for evaluation."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from vocctl.data.cache import CachedSplit
from vocctl.data.datasets import EvalDataset, SampleKey
from vocctl.distributed import rank, world_size
from vocctl.seeding import derived_generator


class EpochBatchSampler(Sampler[list[SampleKey]]):
    """Batches of (epoch, index, crop size) for one epoch. A smaller last batch is dropped.

    The order depends only on (seed, epoch). A split smaller than a batch is one batch. In a distributed run each
    process gets every world_size-th sample of each batch.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        seed: int,
        side_at: Callable[[int, int], int],
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """length: number of images. side_at(epoch, batch): side of that batch's crops in pixels."""
        self.length, self.batch_size, self.seed, self.side_at = length, min(batch_size, length), seed, side_at
        self.rank, self.world_size = rank, world_size
        self.epoch, self.first_batch = 0, 0

    def __len__(self) -> int:
        return self.length // self.batch_size - self.first_batch

    def start_at(self, epoch: int, batch: int = 0) -> None:
        """Make the next iteration yield this epoch's batches from index batch on."""
        self.epoch, self.first_batch = epoch, batch

    def __iter__(self) -> Iterator[list[SampleKey]]:
        order = torch.randperm(self.length, generator=derived_generator("order", self.seed, self.epoch)).tolist()
        for batch in range(self.first_batch, self.length // self.batch_size):
            indices = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            side = self.side_at(self.epoch, batch)
            yield [(self.epoch, index, side) for index in indices[self.rank :: self.world_size]]


def same_shape_batches(shapes: Sequence[tuple[int, ...]], batch_size: int) -> list[list[int]]:
    """Indices of equal shapes in batches of at most batch_size, in the order in which each shape first occurs."""
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, shape in enumerate(shapes):
        by_shape[tuple(shape)].append(index)
    return [
        indices[start : start + batch_size]
        for indices in by_shape.values()
        for start in range(0, len(indices), batch_size)
    ]


class SameShapeBatchSampler(Sampler[list[int]]):
    """Batches of images of one shape, see same_shape_batches. shared: only this process's part of the batches."""

    def __init__(self, split: CachedSplit, batch_size: int, *, shared: bool = False) -> None:
        batches = same_shape_batches(split.sizes, batch_size)
        self.batches = batches[rank() :: world_size()] if shared else batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


def train_loader(dataset: Dataset, batches: EpochBatchSampler, *, workers: int, pin: bool) -> DataLoader:
    """Yields batches of a TrainDataset's or a FeatureDataset's samples. Call batches.start_at before each epoch."""
    # The main process draws the batches, and a key holds all that a worker needs: workers can live through all epochs.
    return _loader(dataset, batches, workers, pin, persistent_workers=workers > 0)


def eval_loader(dataset: EvalDataset, batch_size: int, *, workers: int, pin: bool, shared: bool = False) -> DataLoader:
    """Yields (indices (B,), images (B, 3, H, W) uint8). shared: the processes of a distributed run divide the batches."""
    return _loader(dataset, SameShapeBatchSampler(dataset.split, batch_size, shared=shared), workers, pin)


def _loader(
    dataset: Dataset, batches: Sampler, workers: int, pin: bool, *, persistent_workers: bool = False
) -> DataLoader:
    # Each iterator of a loader draws a seed. Its own generator keeps that from changing the global state, which dropout
    # uses.
    generator = torch.Generator().manual_seed(0)
    return DataLoader(
        dataset, batch_sampler=batches, num_workers=workers, pin_memory=pin, generator=generator,
        worker_init_fn=_leave_process_group, persistent_workers=persistent_workers, collate_fn=collate,
    )  # fmt: skip


def collate(samples: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """As default_collate, but images stay channels last in memory, the layout that models take."""
    return tuple(_stack(column) for column in zip(*samples, strict=True))


def _stack(column: tuple[Any, ...]) -> Any:
    if isinstance(column[0], Tensor) and column[0].dim() == 3:  # (3, H, W)
        return torch.stack([image.permute(1, 2, 0) for image in column]).permute(0, 3, 1, 2)
    return default_collate(list(column))


def _leave_process_group(worker: int) -> None:
    """Move a worker out of the main process's group, so that signals to the group reach only the main process.

    torchrun and terminals signal the whole group; a run whose workers die ends before its state is saved. Workers end
    with the main process, however it ends.
    """
    if hasattr(os, "setpgid"):  # not on Windows
        os.setpgid(0, 0)
