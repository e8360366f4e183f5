"""Mixup and CutMix: images against their targets, ignored labels, and where the random numbers come from."""

import numpy as np
import pytest
import torch
from torch import Tensor

from vocctl.config import AdversarialTrainingConfig, ClsDataConfig, TrainClsConfig, given
from vocctl.errors import ConfigError
from vocctl.labels import IGNORE
from vocctl.training import mixup
from vocctl.training.mixup import batch_mixing, cutmix_images, mix_targets

SIDE = 8


def batch(size: int = 3) -> tuple[Tensor, Tensor]:
    """Image i is i / 10 everywhere and shows only class i."""
    values = torch.arange(size) / 10
    return values[:, None, None, None].expand(size, 3, SIDE, SIDE).clone(), torch.eye(size, 20).long()


def mix(seed: int = 0, **flags: float) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    return batch_mixing(given(TrainClsConfig(), **flags))(*batch())


def weights_of(targets: Tensor) -> tuple[Tensor, Tensor]:
    """The weight of each image's class in its own targets, and in those of the image after it; the others are 0."""
    own, neighbor = targets.diagonal(), targets.roll(-1, 0)[torch.arange(3), torch.arange(3)]
    assert torch.allclose(targets.sum(), own.sum() + neighbor.sum())
    return own, neighbor


def test_without_flags_the_batch_is_unchanged():
    images, targets = batch()
    mixed_images, mixed_targets = batch_mixing(TrainClsConfig())(images, targets)
    assert mixed_images is images
    assert mixed_targets is targets


@pytest.mark.parametrize("seed", range(5))
def test_mixup_weighs_pixels_and_targets_alike(seed):
    images, targets = mix(seed, mixup=1.0)
    own, neighbor = weights_of(targets)
    assert torch.allclose(own + neighbor, torch.ones(3))
    assert 0 < own[0] < 1
    assert torch.equal(own, own[:1].expand(3))  # one lambda per batch
    values = torch.tensor([0.0, 0.1, 0.2])
    expected = own * values + neighbor * values.roll(1)
    assert torch.allclose(images, expected[:, None, None, None].expand_as(images))
    assert images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("seed", range(5))
def test_cutmix_weighs_targets_by_the_area_of_the_box(seed):
    images, targets = mix(seed, cutmix=1.0)
    own, neighbor = weights_of(targets)
    pasted = images != batch()[0]
    assert torch.allclose(pasted.float().mean((1, 2, 3)), neighbor)
    assert torch.allclose(own + neighbor, torch.ones(3))
    assert torch.equal(images[pasted], batch()[0].roll(1, 0)[pasted])
    rows, columns = pasted[1, 0].any(1), pasted[1, 0].any(0)
    assert torch.equal(pasted[1, 0], rows[:, None] & columns)  # a box
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_cutmix_box_by_hand():
    """lambda .75: the box has half the side, 4 of 8 pixels; near a border a part of it is cut off."""
    generator = np.random.default_rng(0)
    weights = [cutmix_images(batch()[0], 0.75, generator)[1] for _ in range(300)]
    # its center, 0..7, is its third row: it has 2, 3, 4, 4, 4, 4, 4 or 3 rows inside, in the mean 3.5; columns alike
    assert min(weights) == 1 - 4 * 4 / 64
    assert max(weights) == 1 - 2 * 2 / 64
    assert np.mean(weights) == pytest.approx(1 - 3.5 * 3.5 / 64, abs=0.01)
    images, weight = cutmix_images(batch()[0], 1.0, generator)
    assert torch.equal(images, batch()[0])
    assert weight == 1


def test_lambda_has_a_beta_distribution():
    own = torch.stack([weights_of(mix(seed, mixup=0.5)[1])[0][0] for seed in range(2000)])
    # Beta(.5, .5): mean 1/2, variance 1 / (4 (2 alpha + 1)) = 1/8
    assert own.mean().item() == pytest.approx(0.5, abs=0.03)
    assert own.var().item() == pytest.approx(0.125, abs=0.01)


def test_with_both_flags_each_batch_is_mixed_by_one_of_them():
    is_blend = [mix(seed, mixup=1.0, cutmix=1.0)[0][1].unique().numel() == 1 for seed in range(200)]
    assert 70 < sum(is_blend) < 130


def test_labels_that_are_ignored_in_one_of_two_images_stay_ignored():
    targets = torch.tensor([[1, 0, IGNORE, 1], [0, 0, 1, IGNORE], [1, 0, 0, 0]])
    mixed = mix_targets(targets, 0.75)  # .75 of each row and .25 of the one before it
    assert mixed.tolist() == [[1, 0, IGNORE, 0.75], [0.25, 0, IGNORE, IGNORE], [0.75, 0, 0.25, IGNORE]]


def test_random_numbers_come_from_torchs_global_generator_alone():
    states = np.random.get_state()[1].copy()
    first, again, other = (mix(seed, mixup=1.0, cutmix=1.0) for seed in (3, 3, 4))
    assert all(torch.equal(left, right) for left, right in zip(first, again, strict=True))
    assert not torch.equal(first[1], other[1])
    assert np.array_equal(np.random.get_state()[1], states)


def test_processes_mix_differently_and_keep_equal_global_generators(monkeypatch):
    targets, states = [], []
    for rank in range(2):
        monkeypatch.setattr(mixup, "rank", lambda rank=rank: rank)
        targets.append(mix(mixup=1.0, cutmix=1.0)[1])
        states.append(torch.get_rng_state())
    assert not torch.equal(*targets)
    assert torch.equal(*states)


@pytest.mark.parametrize(("processes", "batch_size"), [(1, 1), (4, 4)])
def test_one_image_per_process_cannot_be_mixed(monkeypatch, processes, batch_size):
    monkeypatch.setattr(mixup, "world_size", lambda: processes)
    with pytest.raises(ConfigError, match=f"use --batch {2 * processes} or more"):
        batch_mixing(given(TrainClsConfig(), batch=batch_size, mixup=0.2))


@pytest.mark.parametrize("flags", [{"mixup": 0.2}, {"cutmix": 1.0}])
def test_adversarial_training_cannot_mix(flags):
    with pytest.raises(ConfigError, match="cannot be combined with --adv-train"):
        TrainClsConfig(data=ClsDataConfig(**flags), adversarial_training=AdversarialTrainingConfig(adv_train="pgd-3"))
