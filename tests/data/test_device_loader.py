"""Batches augmented on the device: in register with the masks, decided by the place, like the loader's presets."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from vocctl.config.data import Augmentation
from vocctl.data.augment import augmented, preset
from vocctl.data.cache import CachedSplit
from vocctl.data.datasets import TrainDataset
from vocctl.data.device_augment import GRAY, NAMES, RANGES, Ranges, color_matrices, sampled_params
from vocctl.data.device_loader import DeviceLoader, color_jittered
from vocctl.data.loaders import EpochBatchSampler
from vocctl.labels import IGNORE

SHAPES = [(64, 96), (128, 64), (64, 64), (64, 160)]


def split() -> CachedSplit:
    """Images whose pixels are ten times their label: stripes of 3 and 9 on 0."""
    masks = []
    for height, width in SHAPES:
        mask = np.zeros((height, width), np.uint8)
        mask[:, width // 4 : width // 2] = 3
        mask[height // 2 :, width // 2 :] = 9
        masks.append(mask)
    labels = np.concatenate([mask.ravel() for mask in masks])
    starts = np.cumsum([0, *(mask.size for mask in masks)])[:-1]
    pixels = np.repeat(10 * labels[:, None], 3, axis=1).ravel()
    shapes, none = tuple(SHAPES), np.empty(0, np.uint8)  # no masks at their own size
    return CachedSplit(
        Path(), tuple("abcd"), shapes, shapes, pixels, labels, starts, none, np.empty((0, 2)), (b"",) * 4
    )


def batches(augment: str, *, seed: int = 0, targets: np.ndarray | None = None, side: int = 64) -> DeviceLoader:
    images = TrainDataset(split(), augment=augment, seed=seed, targets=targets)
    return DeviceLoader(images, EpochBatchSampler(4, 2, seed, lambda epoch, batch: side), torch.device("cpu"))


def hold_one(made: DeviceLoader, image: np.ndarray) -> None:
    """image: (H, W, 4) uint8, of colors and labels; in place of all four."""
    made.pixels = torch.from_numpy(np.ascontiguousarray(image).view(np.int32).ravel())
    made.sizes = torch.tensor([image.shape[:2]] * 4)
    made.starts, made.lasts = torch.zeros(4, dtype=torch.long), made.sizes - 1


def places(epoch: int, side: int = 64) -> list[tuple[int, int, int]]:
    return [(epoch, index, side) for index in range(4)]


@pytest.mark.parametrize("augment", get_args(Augmentation))
@pytest.mark.parametrize("side", [32, 64, 96])
def test_an_epoch_is_batches_of_squares(augment: str, side: int) -> None:
    found = list(batches(augment, side=side))
    assert [(images.shape, images.dtype, masks.shape, masks.dtype) for images, masks in found] == [
        ((2, 3, side, side), torch.uint8, (2, side, side), torch.uint8)
    ] * 2


def test_without_augmentation_it_is_what_the_loader_gives() -> None:
    images, masks = batches("none").batch(places(0))
    for index in range(4):
        image, mask = augmented(preset("none", 64), split().image(index), split().mask(index), seed=0)
        assert (
            np.abs(image.transpose(2, 0, 1).astype(int) - images[index].numpy()) > 1
        ).mean() < 0.03  # edges of stripes
        assert (mask != masks[index].numpy()).mean() < 0.03


@pytest.mark.parametrize("augment", ["light", "strong", "affine"])
def test_masks_stay_on_their_images_and_no_label_is_invented(augment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vocctl.data.device_loader.color_jittered", lambda images, *changes: images)
    monkeypatch.setattr("vocctl.data.device_loader.blurred_images", lambda images: images)
    made, seen = batches(augment), set()
    for epoch in range(40):
        images, masks = made.batch(places(epoch))
        seen |= set(masks.unique().tolist())
        wanted = torch.where(masks == IGNORE, 0, masks.int() * 10)
        assert ((images.int() - wanted[:, None]).abs() > 1).float().mean() < 0.05  # blended edges alone
    assert seen == ({0, 3, 9} if augment == "light" else {0, 3, 9, IGNORE})


def test_affine_turns_scales_and_shifts_as_the_loader_does() -> None:
    """Where a square in the middle of a image comes to lie, and its size: the same ranges on both paths."""
    mask = np.zeros((64, 160), np.uint8)
    mask[24:40, 64:96] = 9
    made = batches("affine")
    hold_one(made, np.dstack([np.zeros((64, 160, 3), np.uint8), mask]))
    there = [label.numpy() for epoch in range(100) for label in made.batch(places(epoch))[1]]
    transform, image = preset("affine", 64), np.zeros((64, 160, 3), np.uint8)
    here = [augmented(transform, image, mask, seed)[1] for seed in range(400)]
    for measure in (np.mean, np.std):
        found, wanted = (measure([(label == 9).sum() for label in labels]) for labels in (there, here))
        assert found == pytest.approx(wanted, rel=0.2)
        for axis in (0, 1):
            found, wanted = (
                measure([np.nonzero(label == 9)[axis].mean() for label in labels]) for labels in (there, here)
            )
            assert found == pytest.approx(wanted, rel=0.2)


def test_images_are_mirrored_half_of_the_time_and_cropped() -> None:
    made = batches("light", targets=np.arange(4, dtype=np.uint8))
    hold_one(made, np.broadcast_to(np.arange(96, dtype=np.uint8)[:, None], (64, 96, 4)))  # brighter to the right
    slopes, shown = [], []
    for epoch in range(60):
        images, targets = made.batch(places(epoch))
        assert targets.tolist() == [0, 1, 2, 3]
        left, right = images[:, :, :, 0].float().mean((1, 2)), images[:, :, :, -1].float().mean((1, 2))
        slopes += (right > left).tolist()
        shown += (right - left).abs().tolist()
    assert 0.35 < np.mean(slopes) < 0.65
    assert max(shown) > 60 > min(shown)


def test_the_place_alone_decides_the_draw() -> None:
    first, again, other = batches("strong"), batches("strong"), batches("strong", seed=1)
    together, alone = first.batch(places(3)), again.batch(places(3)[2:3])
    assert torch.equal(together[0][2], alone[0][0])
    assert torch.equal(together[1][2], alone[1][0])
    assert not torch.equal(together[0], other.batch(places(3))[0])
    assert not torch.equal(together[0], first.batch(places(4))[0])


def test_an_epoch_goes_on_from_the_batch_it_is_asked_for() -> None:
    made = batches("light")
    whole = list(made)
    made.batches.start_at(0, 1)
    (rest,) = list(made)
    assert torch.equal(rest[0], whole[1][0])


ANY = Ranges(jitter=1.0, strength=1.0, gray=0.5)  # factors from 0 to 2


def recolored_by(images: torch.Tensor, *, gray: bool = False, inside: float = 1.0, **factors: float) -> torch.Tensor:
    """factors: of brightness, contrast and saturation, 1 where left out."""
    draw = {name: torch.full((len(images),), factors.get(name, 1.0) / 2) for name in NAMES}
    draw |= {"jitter": torch.zeros(len(images)), "gray": torch.full((len(images),), 0.0 if gray else 1.0)}
    shown = torch.full((len(images), 1, *images.shape[2:]), inside)
    return color_jittered(images, color_matrices(draw, ANY).float(), GRAY.float(), shown)


def test_colors_by_hand() -> None:
    """Two pixels, whose grays are 123.06 and 50: 0.299 R + 0.587 G + 0.114 B."""
    image = torch.tensor([[200.0, 50.0], [100.0, 50.0], [40.0, 50.0]]).view(1, 3, 1, 2)
    mean = (123.06 + 50) / 2
    for factors, wanted in (
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
        assert recolored_by(image, **factors)[0, :, 0, 0].tolist() == pytest.approx(wanted, abs=0.01), factors


def test_what_lies_outside_of_the_image_stays_black() -> None:
    assert recolored_by(torch.zeros(1, 3, 2, 2), inside=0.0, contrast=0.5).tolist() == [[[[0.0] * 2] * 2] * 3]


def test_factors_keep_to_the_preset() -> None:
    """Own color, gray and mean together are the brightness; an untouched image has all of its own."""
    found = color_matrices(sampled_params(0, 0, 1000), RANGES["light"])
    untouched = (found == torch.tensor([1.0, 0.0, 0.0])).all(1)
    assert 0.45 < untouched.double().mean() < 0.55
    assert 0.8 <= found.sum(1).amin() < 0.82
    assert 1.18 < found.sum(1).amax() <= 1.2
