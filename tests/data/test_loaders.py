"""The order of batches: of seed and epoch alone when training, by shape when scoring."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from vocctl.data.cache import CachedSplit, cached_split
from vocctl.data.datasets import EvalDataset, Place, TrainDataset
from vocctl.data.loaders import EpochBatchSampler, SameShapeBatchSampler, eval_loader, train_loader
from vocctl.data.source import open_dataset


def order(batches: EpochBatchSampler, epoch: int, first: int = 0) -> list[list[Place]]:
    batches.start_at(epoch, first)
    return list(batches)


def split_of(sizes: list[tuple[int, int]]) -> CachedSplit:
    areas = [height * width for height, width in sizes]
    starts = np.concatenate([[0], np.cumsum(areas)])
    pixels = np.arange(3 * starts[-1]).astype(np.uint8)
    ids = tuple(str(number) for number in range(len(sizes)))
    none = np.empty(0, np.uint8)
    return CachedSplit(
        Path(), ids, tuple(sizes), tuple(sizes), pixels, none, starts[:-1], none, np.empty((0, 2)), (b"",) * len(ids)
    )


def test_an_epoch_sees_each_image_once_but_for_the_rest():
    batches = order(EpochBatchSampler(10, 3, seed=0, side_at=lambda epoch, batch: 32), epoch=4)
    assert [len(batch) for batch in batches] == [3, 3, 3]  # the tenth makes no batch
    indices = [index for batch in batches for _, index, _ in batch]
    assert len(set(indices)) == 9
    assert {epoch for batch in batches for epoch, _, _ in batch} == {4}


def test_the_image_that_is_left_out_changes():
    batches = EpochBatchSampler(4, 3, seed=0, side_at=lambda epoch, batch: 32)
    left_out = {6 - sum(index for _, index, _ in order(batches, epoch)[0]) for epoch in range(30)}
    assert left_out == {0, 1, 2, 3}


def test_the_order_is_of_seed_and_epoch_alone():
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


def test_going_on_inside_an_epoch_gives_the_rest_of_it():
    batches = EpochBatchSampler(50, 5, seed=0, side_at=lambda epoch, batch: 32)
    whole = order(batches, epoch=2)
    assert len(batches) == 10
    assert order(batches, epoch=2, first=7) == whole[7:]
    assert len(batches) == 3
    assert order(batches, epoch=2, first=10) == []


def test_a_split_smaller_than_a_batch_is_one_batch():
    batches = EpochBatchSampler(3, 8, seed=0, side_at=lambda epoch, batch: 32)
    assert len(batches) == 1
    assert sorted(index for _, index, _ in order(batches, epoch=0)[0]) == [0, 1, 2]


def test_processes_share_every_batch_equally():
    whole = order(EpochBatchSampler(12, 4, seed=0, side_at=lambda epoch, batch: 32), epoch=1)
    shares = [
        order(EpochBatchSampler(12, 4, seed=0, side_at=lambda epoch, batch: 32, rank=rank, world_size=2), epoch=1)
        for rank in (0, 1)
    ]
    for batch, left, right in zip(whole, *shares, strict=True):
        assert len(left) == len(right) == 2
        assert sorted(left + right) == sorted(batch)


def test_batches_of_equal_shapes_in_the_order_in_which_they_occur():
    tall, wide = (64, 32), (32, 64)
    split = split_of([tall, wide, tall, tall, wide])
    assert list(SameShapeBatchSampler(split, 2)) == [[0, 2], [3], [1, 4]]
    assert len(SameShapeBatchSampler(split, 2)) == 3
    assert list(SameShapeBatchSampler(split, 8)) == [[0, 2, 3], [1, 4]]


def test_the_scoring_loader_gives_every_image_once():
    split = split_of([(2, 4), (4, 2), (2, 4), (4, 4), (4, 2)])
    seen = {}
    for indices, images in eval_loader(EvalDataset(split), 2, workers=0, pin=False):
        for index, image in zip(indices.tolist(), images, strict=True):
            seen[index] = image
    assert sorted(seen) == [0, 1, 2, 3, 4]
    for index, image in seen.items():
        assert np.array_equal(image.permute(1, 2, 0).numpy(), split.image(index))


@pytest.fixture
def dataset(tiny) -> TrainDataset:
    return TrainDataset(cached_split(open_dataset(tiny), "train", 32), augment="light", seed=0)


def read(dataset: TrainDataset, epoch: int, first: int = 0, workers: int = 0) -> list[list[torch.Tensor]]:
    batches = EpochBatchSampler(len(dataset), 3, seed=0, side_at=lambda epoch, batch: 32)
    loader = train_loader(dataset, batches, workers=workers, pin=False)
    batches.start_at(epoch, first)
    return list(loader)


def equal(left: list[list[torch.Tensor]], right: list[list[torch.Tensor]]) -> bool:
    flat = [torch.equal(a, b) for one, two in zip(left, right, strict=True) for a, b in zip(one, two, strict=True)]
    return all(flat)


def test_a_training_batch(dataset):
    batches = read(dataset, epoch=0)
    assert len(batches) == 2
    for images, targets in batches:
        assert (images.shape, images.dtype) == ((3, 3, 32, 32), torch.uint8)
        assert (targets.shape, targets.dtype) == ((3, 32, 32), torch.uint8)


def test_a_resumed_epoch_gives_the_very_same_batches(dataset):
    assert equal(read(dataset, epoch=1)[1:], read(dataset, epoch=1, first=1))
    assert not equal(read(dataset, epoch=1), read(dataset, epoch=2))


def test_workers_change_nothing(dataset):
    assert equal(read(dataset, epoch=1), read(dataset, epoch=1, workers=2))


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_stay_channels_last(dataset, workers):
    for loader in (
        train_loader(
            dataset, EpochBatchSampler(len(dataset), 4, 0, lambda epoch, batch: 32), workers=workers, pin=False
        ),
        eval_loader(EvalDataset(dataset.split), 4, workers=workers, pin=False),
    ):
        images = next(image for one in loader for image in one if image.dim() == 4)
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert not images.is_contiguous()


class Groups(EvalDataset):
    """The process group in which a image is read, in place of the image."""

    def __getitem__(self, index: int) -> tuple[int, torch.Tensor]:
        return index, torch.tensor([os.getpgid(0)])


def test_workers_are_in_groups_of_their_own():
    """So that a signal to the main process's group, which a terminal or torchrun sends, is not for them."""
    split = split_of([(2, 2)] * 4)
    groups = {int(group) for _, found in eval_loader(Groups(split), 1, workers=2, pin=False) for group in found}
    assert len(groups) == 2
    assert os.getpgid(0) not in groups


def test_each_batch_has_the_side_of_its_place_in_the_run(tiny):
    dataset = TrainDataset(cached_split(open_dataset(tiny), "train", 64), augment="strong", seed=0)
    batches = EpochBatchSampler(
        len(dataset), 4, seed=0, side_at=lambda epoch, batch: 32 if (epoch, batch) < (1, 1) else 64
    )
    loader = train_loader(dataset, batches, workers=0, pin=False)
    batches.start_at(1)
    assert [images.shape[-1] for images, _ in loader] == [32, 64]
