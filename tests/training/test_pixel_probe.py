"""Fitting a pixel classifier to features that tell the classes apart, by a known answer."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vocctl.data.cache import CachedSplit
from vocctl.data.feature_cache import CachedFeatures
from vocctl.labels import IGNORE
from vocctl.models.pixel_classifier import PixelClassifier
from vocctl.training.pixel_probe import MIN_STEPS, fit_pixel_classifier

SIDE = 16
COPIES = 64  # of each feature: the few steps move many small weights far enough


def split_of(mask: np.ndarray, count: int) -> CachedSplit:
    """Images in memory, all with this mask."""
    return CachedSplit(
        folder=Path("memory"),
        ids=tuple(map(str, range(count))),
        sizes=(mask.shape,) * count,
        original_sizes=(mask.shape,) * count,
        pixels=np.zeros(0, np.uint8),
        labels=np.tile(mask.ravel(), count),
        starts=np.arange(count) * mask.size,
        compressed_masks=np.zeros(0, np.uint8),
        bounds=np.zeros((0, 2), np.int64),
        content_hashes=(b"",) * count,
    )


def features_of(maps: list[Tensor], count: int) -> CachedFeatures:
    values = torch.cat([level.flatten() for level in maps])
    shapes = (tuple(tuple(level.shape) for level in maps),) * count
    return CachedFeatures(shapes, np.arange(count) * len(values), values.half().repeat(count).numpy())


def halves() -> np.ndarray:
    """A mask of class 3 on the left and class 7 on the right."""
    mask = np.full((SIDE, SIDE), 3, np.uint8)
    mask[:, SIDE // 2 :] = 7
    return mask


def one_hot(mask: np.ndarray) -> Tensor:
    """A map at stride 1: 100 in the first 64 channels on class 3, in the others on class 7."""
    return 100 * torch.from_numpy(np.stack([mask == 3, mask == 7])).float().repeat_interleave(COPIES, 0)


def fit(
    mask: np.ndarray,
    views: list[list[Tensor]],
    *,
    seed: int = 0,
    hidden: int = 0,
    channels: tuple[int, ...] = (2 * COPIES,),
    skip: bool = True,
) -> PixelClassifier:
    torch.manual_seed(0)
    classifier = PixelClassifier(channels, (1, 32)[: len(channels)], 21, hidden=hidden, skip=skip)
    steps: list[tuple[int, int]] = []
    fit_pixel_classifier(
        classifier,
        split_of(mask, 4),
        [features_of(maps, 4) for maps in views],
        seed=seed,
        on_step=lambda done, total: steps.append((done, total)),
    )
    assert steps == [(step + 1, MIN_STEPS) for step in range(MIN_STEPS)]
    return classifier.eval()


def predicted(classifier: PixelClassifier, maps: list[Tensor]) -> np.ndarray:
    with torch.no_grad():
        return classifier([level[None] for level in maps])[0].argmax(0).numpy()


@pytest.mark.parametrize("hidden", [0, 16])
def test_separable_classes_are_learned(hidden):
    mask = halves()
    classifier = fit(mask, [[one_hot(mask)]], hidden=hidden)
    assert np.array_equal(predicted(classifier, [one_hot(mask)]), mask)


def test_features_are_standardized_by_the_labeled_pixels():
    mask = halves()
    mask[:, :4] = IGNORE  # of the 12 columns that are left, a third is of class 3
    level = one_hot(halves())
    level[:, :, :4] = 60000.0
    classifier = fit(mask, [[level]])
    share = classifier.mean[0].item() / 100
    assert share == pytest.approx(1 / 3, abs=0.06)  # about 600 pixels: 0.02 is a standard deviation
    assert classifier.mean[[0, COPIES]].sum().item() == pytest.approx(100, abs=0.01)
    assert classifier.std[0].item() == pytest.approx(100 * (share * (1 - share)) ** 0.5, rel=0.01)


def test_void_pixels_teach_nothing():
    """Void pixels have class 7's features; if they counted as some class, class 7 would not be found."""
    mask = halves()
    mask[:, 10:] = IGNORE
    classifier = fit(mask, [[one_hot(halves())]])
    assert np.array_equal(predicted(classifier, [one_hot(halves())]), halves())


def test_the_mirrored_view_is_used_with_mirrored_labels():
    """Without mirrored labels, the two views would contradict each other."""
    mask = halves()
    mask[:, : SIDE // 4] = 0
    level = torch.cat([one_hot(mask), 100 * torch.from_numpy(mask == 0).float().expand(COPIES, -1, -1)])
    classifier = fit(mask, [[level], [level.flip(-1)]], channels=(3 * COPIES,))
    assert np.array_equal(predicted(classifier, [level]), mask)
    assert np.array_equal(predicted(classifier, [level.flip(-1)]), mask[:, ::-1])


def test_the_same_seed_gives_the_same_classifier():
    mask = halves()
    generator = torch.Generator().manual_seed(0)
    level = one_hot(mask) + 30 * torch.randn(2 * COPIES, SIDE, SIDE, generator=generator)
    first, again, other = (fit(mask, [[level]], seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert not torch.equal(first["mean"], other["mean"])


def test_without_skips_the_deepest_map_is_fitted():
    """The finer map would tell the classes apart, the deepest one cannot: it has one pixel."""
    mask = halves()
    maps = [one_hot(mask), torch.full((2, 1, 1), 5.0)]
    classifier = fit(mask, [maps], channels=(2 * COPIES, 2), skip=False)
    assert classifier.mean.tolist() == [5, 5, 5, 5]
    assert all(tensor.isfinite().all() for tensor in classifier.state_dict().values())
