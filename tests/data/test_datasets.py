"""Samples as tensors: which draw they get, and that they are right and their own."""

import numpy as np
import pytest
import torch

from vocctl.data.cache import CachedSplit, cached_split
from vocctl.data.datasets import EvalDataset, TrainDataset
from vocctl.data.source import open_dataset


@pytest.fixture
def split(tiny) -> CachedSplit:
    return cached_split(open_dataset(tiny), "train", 32)


def training(split: CachedSplit, augment: str = "light", seed: int = 0) -> TrainDataset:
    return TrainDataset(split, augment=augment, seed=seed)


def same(left: tuple[torch.Tensor, torch.Tensor], right: tuple[torch.Tensor, torch.Tensor]) -> bool:
    return torch.equal(left[0], right[0]) and torch.equal(left[1], right[1])


def test_a_training_sample(split):
    images = training(split)
    image, mask = images[0, 3, 32]
    assert (image.shape, image.dtype) == ((3, 32, 32), torch.uint8)
    assert (mask.shape, mask.dtype) == ((32, 32), torch.uint8)
    assert len(images) == 8


def test_without_augmentation_it_is_the_image(split):
    image, mask = training(split, "none")[5, 3, 32]
    assert np.array_equal(image.permute(1, 2, 0).numpy(), split.image(3))
    assert np.array_equal(mask.numpy(), split.mask(3))


def test_the_draw_is_of_seed_epoch_and_index_alone(split):
    images, others = training(split), training(split)
    first = images[2, 3, 32]
    for index in range(8):
        others[0, index, 32]  # other draws before it
    assert same(others[2, 3, 32], first)
    assert not same(images[3, 3, 32], first)  # a new draw each epoch
    assert not same(training(split, seed=1)[2, 3, 32], first)


def test_a_scored_image(split):
    images = EvalDataset(split)
    index, image = images[3]
    assert index == 3
    assert len(images) == 8
    assert np.array_equal(image.permute(1, 2, 0).numpy(), split.image(3))


def test_a_sample_is_a_copy_that_may_be_written(split):
    for image in (EvalDataset(split)[0][1], *training(split, "none")[0, 0, 32]):
        image.zero_()
    assert split.image(0).any()


def test_images_are_channels_last_already(split):
    assert EvalDataset(split)[0][1][None].is_contiguous(memory_format=torch.channels_last)
    assert training(split)[0, 0, 32][0][None].is_contiguous(memory_format=torch.channels_last)
