"""Batches augmented on the device: in register with the masks, decided by the place, like the loader's presets."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vocctl.config import PRESETS
from vocctl.data.augment import augmented, preset
from vocctl.data.cache import CachedSplit
from vocctl.data.datasets import TrainingPhotos
from vocctl.data.device_augment import GREY, RANGES, colours, drawn
from vocctl.data.device_photos import DeviceBatches, recoloured
from vocctl.data.loaders import EpochBatches
from vocctl.labels import IGNORE

SHAPES = [(64, 96), (128, 64), (64, 64), (64, 160)]


def split() -> CachedSplit:
    """Photos whose pixels are ten times their label: stripes of 3 and 9 on 0."""
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


def batches(augment: str, *, seed: int = 0, targets: np.ndarray | None = None, side: int = 64) -> DeviceBatches:
    photos = TrainingPhotos(split(), augment=augment, seed=seed, targets=targets)
    return DeviceBatches(photos, EpochBatches(4, 2, seed, lambda epoch, batch: side), torch.device("cpu"))


def places(epoch: int, side: int = 64) -> list[tuple[int, int, int]]:
    return [(epoch, index, side) for index in range(4)]


@pytest.mark.parametrize("augment", PRESETS)
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
def test_masks_stay_on_their_photos_and_no_label_is_invented(augment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vocctl.data.device_photos.recoloured", lambda images, changes: images)
    monkeypatch.setattr("vocctl.data.device_photos.smoothed", lambda images: images)
    made, seen = batches(augment), set()
    for epoch in range(40):
        images, masks = made.batch(places(epoch))
        seen |= set(masks.unique().tolist())
        wanted = torch.where(masks == IGNORE, 0, masks.int() * 10)
        assert ((images.int() - wanted[:, None]).abs() > 1).float().mean() < 0.05  # blended edges alone
    assert seen == ({0, 3, 9} if augment == "light" else {0, 3, 9, IGNORE})


def test_affine_turns_scales_and_shifts_as_the_loader_does() -> None:
    """Where a square in the middle of a photo comes to lie, and its size: the same ranges on both paths."""
    mask = np.zeros((64, 160), np.uint8)
    mask[24:40, 64:96] = 9
    made = batches("affine")
    made.sizes, made.starts = torch.tensor([[64.0, 160.0]] * 4, dtype=torch.float64), torch.zeros(4, dtype=torch.long)
    made.targets, made.pixels = torch.from_numpy(mask.ravel()), torch.zeros(mask.size, 3, dtype=torch.uint8)
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


def test_photos_are_mirrored_half_of_the_time_and_cropped() -> None:
    made = batches("light", targets=np.arange(4, dtype=np.uint8))
    made.pixels = (torch.arange(96).repeat(64)[:, None] * torch.ones(1, 3)).to(torch.uint8)  # brighter to the right
    made.sizes, made.starts = torch.tensor([[64.0, 96.0]] * 4, dtype=torch.float64), torch.zeros(4, dtype=torch.long)
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


def test_colours_by_hand() -> None:
    """Half the brightness, then no contrast, then grey; and a matrix that leaves grey as it is."""
    image = torch.tensor([200.0, 100.0, 40.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    same = torch.eye(3)
    half = recoloured(image, torch.cat([same, torch.tensor([[0.5, 1.0]]).expand(3, 2)], 1)[None])
    assert half[0, :, 0, 0].tolist() == pytest.approx([100, 50, 20])
    flat = recoloured(image, torch.cat([same, torch.tensor([[1.0, 0.0]]).expand(3, 2)], 1)[None])
    assert flat[0, :, 0, 0].tolist() == pytest.approx([123.06] * 3, abs=0.01)  # 0.299 R + 0.587 G + 0.114 B
    changes = colours(drawn(0, [(0, index) for index in range(50)]), RANGES["strong"]).float()
    grey = torch.full((50, 3, 1, 1), 90.0)
    changes[:, :, 3:] = 1.0
    assert recoloured(grey, changes).flatten().tolist() == pytest.approx([90.0] * 150, abs=0.5)


def test_saturation_is_a_blend_with_grey() -> None:
    draw = drawn(0, [(0, 0)])
    draw |= {
        "jitter": torch.zeros(1),
        "saturation": torch.zeros(1),
        "grey": torch.ones(1),
    }
    matrix = colours(draw, RANGES["strong"])[0, :, :3]
    colour = torch.tensor([200.0, 100.0, 40.0], dtype=torch.float64)
    grey = GREY @ colour
    assert (matrix @ colour).tolist() == pytest.approx((grey + 0.6 * (colour - grey)).tolist())  # 1 - strength
