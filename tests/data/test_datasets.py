"""Samples as tensors: their shapes, what their augmentation depends on, and that they are copies of the cache."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from vocctl.data.cache import CachedSplit
from vocctl.data.cache_build import cached_split
from vocctl.data.datasets import EvalDataset, TrainDataset
from vocctl.data.source import open_dataset
from vocctl.data.splits import ClsSplit, SegSplit


@pytest.fixture
def split(tiny) -> CachedSplit:
    return cached_split(open_dataset(tiny), "train", 32)


def train_dataset(split: CachedSplit, augment: str = "light", seed: int = 0) -> TrainDataset:
    return TrainDataset(SegSplit(split), augment=augment, seed=seed)


def are_equal(left: tuple[torch.Tensor, torch.Tensor], right: tuple[torch.Tensor, torch.Tensor]) -> bool:
    return torch.equal(left[0], right[0]) and torch.equal(left[1], right[1])


def test_segmentation_sample(split):
    dataset = train_dataset(split)
    image, mask = dataset[0, 3, 32]  # (epoch, index, size)
    assert (image.shape, image.dtype) == ((3, 32, 32), torch.uint8)
    assert (mask.shape, mask.dtype) == ((32, 32), torch.uint8)
    assert len(dataset) == 8


def test_classification_sample_has_the_same_image_and_its_labels(split):
    targets = np.arange(160, dtype=np.uint8).reshape(8, 20)
    image, target = TrainDataset(ClsSplit(split, targets), augment="light", seed=0)[2, 3, 32]
    assert torch.equal(image, train_dataset(split)[2, 3, 32][0])
    assert target.tolist() == targets[3].tolist()
    target.zero_()
    assert targets[3].any()  # the target was a copy


def test_without_augmentation_the_image_is_unchanged(split):
    image, mask = train_dataset(split, "none")[5, 3, 32]
    assert np.array_equal(image.permute(1, 2, 0).numpy(), split.image(3))
    assert np.array_equal(mask.numpy(), split.mask(3))


def test_augmentation_depends_only_on_seed_epoch_and_index(split):
    first, second = train_dataset(split), train_dataset(split)
    sample = first[2, 3, 32]
    for index in range(8):
        second[0, index, 32]  # other samples before it
    assert are_equal(second[2, 3, 32], sample)
    assert not are_equal(first[3, 3, 32], sample)  # another epoch
    assert not are_equal(train_dataset(split, seed=1)[2, 3, 32], sample)


def test_evaluation_sample(split):
    dataset = EvalDataset(split)
    index, image = dataset[3]
    assert index == 3
    assert len(dataset) == 8
    assert np.array_equal(image.permute(1, 2, 0).numpy(), split.image(3))


def test_samples_are_writable_copies(split):
    for tensor in (EvalDataset(split)[0][1], *train_dataset(split, "none")[0, 0, 32]):
        tensor.zero_()
    assert split.image(0).any()


def test_images_are_channels_last(split):
    for image in (EvalDataset(split)[0][1], train_dataset(split)[0, 0, 32][0]):
        assert image[None].is_contiguous(memory_format=torch.channels_last)


def test_import_is_light():
    heavy = {"albumentations", "requests", "timm", "torchvision", "matplotlib", "seaborn"}
    code = f"import sys, vocctl.data.datasets; assert not {heavy} & sys.modules.keys(), {heavy} & sys.modules.keys()"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
