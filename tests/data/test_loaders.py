"""Batches: in an order that depends on seed and epoch for training, of equal shapes for evaluation."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from vocctl.data.cache import CachedSplit
from vocctl.data.cache_build import cached_split
from vocctl.data.datasets import EvalDataset, SampleKey, TrainDataset
from vocctl.data.loaders import EpochBatchSampler, SameShapeBatchSampler, eval_loader, train_loader
from vocctl.data.source import open_dataset
from vocctl.data.splits import SegSplit


def order(batches: EpochBatchSampler, epoch: int, first: int = 0) -> list[list[SampleKey]]:
    batches.start_at(epoch, first)
    return list(batches)


def split_of(sizes: list[tuple[int, int]]) -> CachedSplit:
    areas = [height * width for height, width in sizes]
    starts = np.concatenate([[0], np.cumsum(areas)])
    pixels = np.arange(3 * starts[-1]).astype(np.uint8)
    ids = tuple(str(number) for number in range(len(sizes)))
    no_masks = np.empty(0, np.uint8)
    return CachedSplit(
        Path(),
        ids,
        tuple(sizes),
        tuple(sizes),
        pixels,
        no_masks,
        starts[:-1],
        no_masks,
        np.empty((0, 2)),
        (b"",) * len(ids),
    )


def test_epoch_has_each_image_once_except_the_remainder():
    batches = order(EpochBatchSampler(10, 3, seed=0, side_at=lambda epoch, batch: 32), epoch=4)
    assert [len(batch) for batch in batches] == [3, 3, 3]  # the tenth image is left out
    indices = [index for batch in batches for _, index, _ in batch]
    assert len(set(indices)) == 9
    assert {epoch for batch in batches for epoch, _, _ in batch} == {4}


def test_left_out_image_differs_between_epochs():
    batches = EpochBatchSampler(4, 3, seed=0, side_at=lambda epoch, batch: 32)
    left_out = {6 - sum(index for _, index, _ in order(batches, epoch)[0]) for epoch in range(30)}
    assert left_out == {0, 1, 2, 3}


def test_order_depends_only_on_seed_and_epoch():
    batches = EpochBatchSampler(50, 5, seed=0, side_at=lambda epoch, batch: 32)
    first = order(batches, epoch=2)
    torch.manual_seed(9)
    order(batches, epoch=0)
    assert (
        order(batches, epoch=2)
        == first
        == order(EpochBatchSampler(50, 5, seed=0, side_at=lambda epoch, batch: 32), epoch=2)
    )
    indices = [[index for _, index, _ in batch] for batch in first]
    assert [[index for _, index, _ in batch] for batch in order(batches, epoch=3)] != indices
    assert order(EpochBatchSampler(50, 5, seed=1, side_at=lambda epoch, batch: 32), epoch=2) != first


def test_resumed_epoch_has_the_remaining_batches():
    batches = EpochBatchSampler(50, 5, seed=0, side_at=lambda epoch, batch: 32)
    batch_list = order(batches, epoch=2)
    assert len(batches) == 10
    assert order(batches, epoch=2, first=7) == batch_list[7:]
    assert len(batches) == 3
    assert order(batches, epoch=2, first=10) == []


def test_split_smaller_than_a_batch_is_one_batch():
    batches = EpochBatchSampler(3, 8, seed=0, side_at=lambda epoch, batch: 32)
    assert len(batches) == 1
    assert sorted(index for _, index, _ in order(batches, epoch=0)[0]) == [0, 1, 2]


def test_processes_divide_every_batch_equally():
    full = order(EpochBatchSampler(12, 4, seed=0, side_at=lambda epoch, batch: 32), epoch=1)
    parts = [
        order(EpochBatchSampler(12, 4, seed=0, side_at=lambda epoch, batch: 32, rank=rank, world_size=2), epoch=1)
        for rank in (0, 1)
    ]
    for batch, left, right in zip(full, *parts, strict=True):
        assert len(left) == len(right) == 2
        assert sorted(left + right) == sorted(batch)


def test_same_shape_batches_follow_the_first_occurrence():
    tall, wide = (64, 32), (32, 64)
    split = split_of([tall, wide, tall, tall, wide])
    assert list(SameShapeBatchSampler(split, 2)) == [[0, 2], [3], [1, 4]]
    assert len(SameShapeBatchSampler(split, 2)) == 3
    assert list(SameShapeBatchSampler(split, 8)) == [[0, 2, 3], [1, 4]]


def test_eval_loader_has_every_image_once():
    split = split_of([(2, 4), (4, 2), (2, 4), (4, 4), (4, 2)])
    loaded = {}
    for indices, images in eval_loader(EvalDataset(split), 2, workers=0, pin=False):
        for index, image in zip(indices.tolist(), images, strict=True):
            loaded[index] = image
    assert sorted(loaded) == [0, 1, 2, 3, 4]
    for index, image in loaded.items():
        assert np.array_equal(image.permute(1, 2, 0).numpy(), split.image(index))


@pytest.fixture
def dataset(tiny) -> TrainDataset:
    return TrainDataset(SegSplit(cached_split(open_dataset(tiny), "train", 32)), augment="light", seed=0)


def load(dataset: TrainDataset, epoch: int, first: int = 0, workers: int = 0) -> list[list[torch.Tensor]]:
    batches = EpochBatchSampler(len(dataset), 3, seed=0, side_at=lambda epoch, batch: 32)
    loader = train_loader(dataset, batches, workers=workers, pin=False)
    batches.start_at(epoch, first)
    return list(loader)


def are_equal(left: list[list[torch.Tensor]], right: list[list[torch.Tensor]]) -> bool:
    pairs = [pair for batches in zip(left, right, strict=True) for pair in zip(*batches, strict=True)]
    return all(torch.equal(first, second) for first, second in pairs)


def test_train_loader(dataset):
    batches = load(dataset, epoch=0)
    assert len(batches) == 2
    for images, targets in batches:
        assert (images.shape, images.dtype) == ((3, 3, 32, 32), torch.uint8)
        assert (targets.shape, targets.dtype) == ((3, 32, 32), torch.uint8)


def test_resumed_epoch_has_the_same_samples(dataset):
    assert are_equal(load(dataset, epoch=1)[1:], load(dataset, epoch=1, first=1))
    assert not are_equal(load(dataset, epoch=1), load(dataset, epoch=2))


def test_workers_do_not_change_the_samples(dataset):
    assert are_equal(load(dataset, epoch=1), load(dataset, epoch=1, workers=2))


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_are_channels_last(dataset, workers):
    for loader in (
        train_loader(
            dataset, EpochBatchSampler(len(dataset), 4, 0, lambda epoch, batch: 32), workers=workers, pin=False
        ),
        eval_loader(EvalDataset(dataset.split.images), 4, workers=workers, pin=False),
    ):
        images = next(tensor for batch in loader for tensor in batch if tensor.dim() == 4)
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert not images.is_contiguous()


class ProcessGroups(EvalDataset):
    """Instead of the image, the process group of the worker that reads it."""

    def __getitem__(self, index: int) -> tuple[int, torch.Tensor]:
        return index, torch.tensor([os.getpgid(0)])


def test_workers_have_their_own_process_groups():
    """So that they do not get the signals that a terminal or torchrun sends to the main process's group."""
    split = split_of([(2, 2)] * 4)
    groups = {int(group) for _, batch in eval_loader(ProcessGroups(split), 1, workers=2, pin=False) for group in batch}
    assert len(groups) == 2
    assert os.getpgid(0) not in groups


def test_crop_size_depends_on_epoch_and_batch(tiny):
    dataset = TrainDataset(SegSplit(cached_split(open_dataset(tiny), "train", 64)), augment="strong", seed=0)
    batches = EpochBatchSampler(
        len(dataset), 4, seed=0, side_at=lambda epoch, batch: 32 if (epoch, batch) < (1, 1) else 64
    )
    loader = train_loader(dataset, batches, workers=0, pin=False)
    batches.start_at(1)
    assert [images.shape[-1] for images, _ in loader] == [32, 64]
