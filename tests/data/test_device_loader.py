"""Batches augmented on the device: masks match images, the key decides the parameters, ranges are those of the presets."""

from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch

from vocctl.config.data import Augmentation
from vocctl.data.augment import augment_pair, preset
from vocctl.data.cache import CachedSplit
from vocctl.data.datasets import TrainDataset
from vocctl.data.device_augment import GRAY, PARAM_NAMES, RANGES, Ranges, affine_matrices, color_weights, uniform_draws
from vocctl.data.device_loader import DeviceLoader, augments_on_device, jitter_colors
from vocctl.data.loaders import EpochBatchSampler
from vocctl.data.splits import ClsSplit, SegSplit
from vocctl.labels import IGNORE

SHAPES = [(64, 96), (128, 64), (64, 64), (64, 160)]


def split() -> CachedSplit:
    """Masks with areas of 0, 3 and 9, and images whose pixels are ten times their label."""
    masks = []
    for height, width in SHAPES:
        mask = np.zeros((height, width), np.uint8)
        mask[:, width // 4 : width // 2] = 3
        mask[height // 2 :, width // 2 :] = 9
        masks.append(mask)
    labels = np.concatenate([mask.ravel() for mask in masks])
    starts = np.cumsum([0, *(mask.size for mask in masks)])[:-1]
    pixels = np.repeat(10 * labels[:, None], 3, axis=1).ravel()
    shapes, no_bytes = tuple(SHAPES), np.empty(0, np.uint8)  # there are no masks at their original size
    return CachedSplit(
        Path(), tuple("abcd"), shapes, shapes, pixels, labels, starts, no_bytes, np.empty((0, 2)), (b"",) * 4
    )


def make_loader(augment: str, *, seed: int = 0, targets: np.ndarray | None = None, side: int = 64) -> DeviceLoader:
    labeled = SegSplit(split()) if targets is None else ClsSplit(split(), targets)
    dataset = TrainDataset(labeled, augment=augment, seed=seed)
    return DeviceLoader(dataset, EpochBatchSampler(4, 2, seed, lambda epoch, batch: side), torch.device("cpu"))


def replace_images(loader: DeviceLoader, image: np.ndarray) -> None:
    """Make all four images of the loader this one. image: (H, W, 4) uint8, RGB and label."""
    loader.pixels = torch.from_numpy(np.ascontiguousarray(image).view(np.int32).ravel())
    loader.sizes = torch.tensor([image.shape[:2]] * 4)
    loader.starts, loader.last_pixels = torch.zeros(4, dtype=torch.long), loader.sizes - 1


def keys(epoch: int, side: int = 64) -> list[tuple[int, int, int]]:
    return [(epoch, index, side) for index in range(4)]


@pytest.mark.parametrize("augment", get_args(Augmentation))
@pytest.mark.parametrize("side", [32, 64, 96])
def test_crops_have_the_given_size(augment: str, side: int) -> None:
    batches = list(make_loader(augment, side=side))
    assert [(images.shape, images.dtype, masks.shape, masks.dtype) for images, masks in batches] == [
        ((2, 3, side, side), torch.uint8, (2, side, side), torch.uint8)
    ] * 2


def test_without_augmentation_it_equals_the_preset() -> None:
    images, masks = make_loader("none").batch(keys(0))
    for index in range(4):
        image, mask = augment_pair(preset("none", 64), split().image(index), split().mask(index), seed=0)
        assert (
            np.abs(image.transpose(2, 0, 1).astype(int) - images[index].numpy()) > 1
        ).mean() < 0.03  # edges of areas
        assert (mask != masks[index].numpy()).mean() < 0.03


@pytest.mark.parametrize("augment", ["light", "strong", "affine"])
def test_masks_match_images_and_are_not_interpolated(augment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vocctl.data.device_loader.jitter_colors", lambda images, *changes: images)
    monkeypatch.setattr("vocctl.data.device_loader.blur", lambda images: images)
    loader, labels = make_loader(augment), set()
    for epoch in range(40):
        images, masks = loader.batch(keys(epoch))
        labels |= set(masks.unique().tolist())
        expected = torch.where(masks == IGNORE, 0, masks.int() * 10)
        assert ((images.int() - expected[:, None]).abs() > 1).float().mean() < 0.05  # only interpolated edges
    assert labels == ({0, 3, 9} if augment == "light" else {0, 3, 9, IGNORE})


def test_affine_has_the_ranges_of_the_preset() -> None:
    """Position and size of a rectangle in the center have the same mean and deviation on both paths."""
    mask = np.zeros((64, 160), np.uint8)
    mask[24:40, 64:96] = 9
    loader = make_loader("affine")
    replace_images(loader, np.dstack([np.zeros((64, 160, 3), np.uint8), mask]))
    on_device = [label.numpy() for epoch in range(100) for label in loader.batch(keys(epoch))[1]]
    transform, image = preset("affine", 64), np.zeros((64, 160, 3), np.uint8)
    on_cpu = [augment_pair(transform, image, mask, seed)[1] for seed in range(400)]
    for measure in (np.mean, np.std):
        actual, expected = (measure([(label == 9).sum() for label in labels]) for labels in (on_device, on_cpu))
        assert actual == pytest.approx(expected, rel=0.2)
        for axis in (0, 1):
            actual, expected = (
                measure([np.nonzero(label == 9)[axis].mean() for label in labels]) for labels in (on_device, on_cpu)
            )
            assert actual == pytest.approx(expected, rel=0.2)


def test_light_flips_half_of_the_images_and_crops() -> None:
    loader = make_loader("light", targets=np.arange(4, dtype=np.uint8))
    replace_images(
        loader, np.broadcast_to(np.arange(96, dtype=np.uint8)[:, None], (64, 96, 4))
    )  # brighter to the right
    rising, contrasts = [], []
    for epoch in range(60):
        images, targets = loader.batch(keys(epoch))
        assert targets.tolist() == [0, 1, 2, 3]
        left, right = images[:, :, :, 0].float().mean((1, 2)), images[:, :, :, -1].float().mean((1, 2))
        rising += (right > left).tolist()
        contrasts += (right - left).abs().tolist()
    assert 0.35 < np.mean(rising) < 0.65
    assert max(contrasts) > 60 > min(contrasts)


def test_key_decides_the_result() -> None:
    first, second, other_seed = make_loader("strong"), make_loader("strong"), make_loader("strong", seed=1)
    together, alone = first.batch(keys(3)), second.batch(keys(3)[2:3])
    assert torch.equal(together[0][2], alone[0][0])
    assert torch.equal(together[1][2], alone[1][0])
    assert not torch.equal(together[0], other_seed.batch(keys(3))[0])
    assert not torch.equal(together[0], first.batch(keys(4))[0])


def test_resumed_epoch_has_the_remaining_batches() -> None:
    loader = make_loader("light")
    batches = list(loader)
    loader.batches.start_at(0, 1)
    (rest,) = list(loader)
    assert torch.equal(rest[0], batches[1][0])


WIDE = Ranges(jitter=1.0, strength=1.0, gray=0.5)  # factors from 0 to 2


def jitter(images: torch.Tensor, *, gray: bool = False, inside: float = 1.0, **factors: float) -> torch.Tensor:
    """Jitter colors by these factors of brightness, contrast and saturation; 1 if not given."""
    draws = {name: torch.full((len(images),), factors.get(name, 1.0) / 2) for name in PARAM_NAMES}
    draws |= {"jitter": torch.zeros(len(images)), "gray": torch.full((len(images),), 0.0 if gray else 1.0)}
    is_inside = torch.full((len(images), 1, *images.shape[2:]), inside)
    return jitter_colors(images, color_weights(draws, WIDE).float(), GRAY.float(), is_inside)


def test_colors_computed_by_hand() -> None:
    """Two pixels, whose grays are 123.06 and 50: 0.299 R + 0.587 G + 0.114 B."""
    image = torch.tensor([[200.0, 50.0], [100.0, 50.0], [40.0, 50.0]]).view(1, 3, 1, 2)
    mean = (123.06 + 50) / 2
    for factors, expected in (
        ({}, [200, 100, 40]),
        ({"brightness": 0.5}, [100, 50, 20]),
        ({"brightness": 2.0}, [255, 200, 80]),
        ({"contrast": 0.0}, [mean] * 3),
        ({"contrast": 0.5}, [(200 + mean) / 2, (100 + mean) / 2, (40 + mean) / 2]),
        ({"saturation": 0.0}, [123.06] * 3),
        ({"saturation": 0.5}, [(200 + 123.06) / 2, (100 + 123.06) / 2, (40 + 123.06) / 2]),
        ({"brightness": 0.5, "contrast": 0.5, "saturation": 0.0}, [0.25 * 123.06 + 0.25 * mean] * 3),
        ({"gray": True, "brightness": 0.5}, [61.53] * 3),
    ):
        assert jitter(image, **factors)[0, :, 0, 0].tolist() == pytest.approx(expected, abs=0.01), factors


def test_pixels_outside_of_the_image_stay_black() -> None:
    assert jitter(torch.zeros(1, 3, 2, 2), inside=0.0, contrast=0.5).tolist() == [[[[0.0] * 2] * 2] * 3]


def test_factors_are_in_the_ranges_of_the_preset() -> None:
    """The three weights sum to the brightness; an image without jitter has weight 1 for its own color."""
    weights = color_weights(uniform_draws(0, 0, 1000), RANGES["light"])
    unchanged = (weights == torch.tensor([1.0, 0.0, 0.0])).all(1)
    assert 0.45 < unchanged.double().mean() < 0.55
    assert 0.8 <= weights.sum(1).amin() < 0.82
    assert 1.18 < weights.sum(1).amax() <= 1.2


def test_random_numbers_are_sampled_in_a_fixed_order() -> None:
    """The k-th of PARAM_NAMES is the k-th number of each image: a renamed or moved entry would change every augmentation."""
    draws = uniform_draws(seed=3, epoch=5, num_images=2)
    assert list(draws) == list(PARAM_NAMES)
    numbers = torch.stack([draws[name] for name in PARAM_NAMES], 1)
    assert torch.equal(uniform_draws(3, 5, 3)["blur"][:2], draws["blur"])
    assert numbers[0, :2].tolist() == [0.23144985947453178, 0.6589418649387794]


def test_affine_matrices_computed_by_hand() -> None:
    """A scale of 2 in x alone shows half of the width around the center: x from W / 4 to 3 W / 4."""
    draws = {name: torch.full((1,), 0.5, dtype=torch.float64) for name in PARAM_NAMES}  # angle, shear and shift are 0
    draws |= {"affine": torch.zeros(1), "flip": torch.ones(1), "scale_x": torch.ones(1).double()}
    ranges = Ranges(center_crop=True, affine=1.0, scale=(0.0, 2.0), flip=0.5)
    matrix = affine_matrices(draws, torch.tensor([[8.0, 8.0]], dtype=torch.float64), ranges)[0]
    assert (matrix @ torch.tensor([0.0, 0.0, 1.0]).double()).tolist() == pytest.approx([2, 0])
    assert (matrix @ torch.tensor([1.0, 1.0, 1.0]).double()).tolist() == pytest.approx([6, 8])


def test_auto_augments_on_a_gpu_with_room_for_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = TrainDataset(SegSplit(split()), augment="light", seed=0)
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    num_bytes = 4 * sum(height * width for height, width in SHAPES)
    memory = SimpleNamespace(total_memory=4 * num_bytes)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: memory)
    assert not augments_on_device("auto", dataset, cpu)
    assert augments_on_device("auto", dataset, gpu)
    memory.total_memory -= 1
    assert not augments_on_device("auto", dataset, gpu)
    assert augments_on_device("gpu", dataset, cpu)
    assert not augments_on_device("cpu", dataset, gpu)
