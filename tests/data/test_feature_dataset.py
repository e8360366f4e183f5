"""Points of images with their features and labels: at known places, repeated by key, mirrored with the image."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pixel_features import features_on_grid
from vocctl.data.cache import CachedSplit
from vocctl.data.feature_cache import CachedFeatures
from vocctl.data.feature_dataset import (
    POINTS_PER_IMAGE,
    FeatureDataset,
    PooledDataset,
    features_at_points,
    pooled,
    sample_points,
)


def split_of(masks: list[np.ndarray]) -> CachedSplit:
    """Images in memory of which only the masks are read."""
    areas = [mask.size for mask in masks]
    return CachedSplit(
        folder=Path("memory"),
        ids=tuple(map(str, range(len(masks)))),
        sizes=tuple(mask.shape for mask in masks),
        original_sizes=tuple(mask.shape for mask in masks),
        pixels=np.zeros(0, np.uint8),
        labels=np.concatenate([mask.ravel() for mask in masks]),
        starts=np.cumsum([0, *areas[:-1]]),
        compressed_masks=np.zeros(0, np.uint8),
        bounds=np.zeros((0, 2), np.int64),
        content_hashes=(b"",) * len(masks),
    )


def features_of(maps_of_images: list[list[Tensor]]) -> CachedFeatures:
    counts = [sum(level.numel() for level in maps) for maps in maps_of_images]
    values = torch.cat([level.flatten() for maps in maps_of_images for level in maps])
    return CachedFeatures(
        tuple(tuple(tuple(level.shape) for level in maps) for maps in maps_of_images),
        np.cumsum([0, *counts[:-1]]),
        values.half().numpy(),
    )


def random_masks(height: int = 32, width: int = 64, count: int = 3) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 21, (height, width), np.uint8) for _ in range(count)]


def labels_as_features(masks: list[np.ndarray], *, mirrored: bool = False) -> CachedFeatures:
    """One map at stride 1 whose feature is the pixel's label."""
    maps = [torch.from_numpy(mask.copy()).float()[None] for mask in masks]
    return features_of([[level.flip(-1) if mirrored else level] for level in maps])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_points_at_the_centers_of_the_grid_have_its_features():
    random = generator()
    maps = [torch.randn(2, 64 // stride, 96 // stride, generator=random) for stride in (4, 8, 16, 32)]
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(12), indexing="ij")  # of the map at stride 8
    points = torch.stack([(columns.flatten() + 0.5) / 12, (rows.flatten() + 0.5) / 8], 1) * 2 - 1
    expected = features_on_grid([level[None] for level in maps], (4, 8, 16, 32), 1)[0].flatten(1).T
    assert torch.allclose(features_at_points(maps, points), expected, atol=1e-5)


def test_a_point_between_pixels_by_hand():
    maps = [torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[[5.0]]])]
    points = torch.tensor([[0.0, 0.0], [-0.5, -0.5], [0.0, -0.5], [-1.0, 1.0]])
    # the middle; the center of the first pixel; between the two above; the corner below left, where the edge counts
    assert features_at_points(maps, points).tolist() == [[2.5, 5, 5], [1, 5, 5], [1.5, 5, 5], [3, 5, 5]]


@pytest.mark.parametrize("mirrored", [False, True])
def test_labels_belong_to_the_features(mirrored):
    masks = random_masks()
    features = labels_as_features(masks, mirrored=mirrored)
    drawn, labels = sample_points(split_of(masks), features, 1, 500, generator(), mirrored=mirrored)
    assert (drawn.shape, drawn.dtype) == ((500, 2), torch.float32)
    assert (labels.shape, labels.dtype) == ((500,), torch.uint8)
    assert torch.allclose(drawn[:, 0], labels.float(), atol=1e-3)
    assert len(labels.unique()) == 21  # of 2048 pixels of 21 classes
    mean = torch.from_numpy(masks[1]).float().mean()
    assert torch.allclose(drawn[:, 1], mean.expand(500), atol=1e-2)


def test_points_of_the_unmirrored_features_do_not_match_mirrored_labels():
    masks = random_masks()
    drawn, labels = sample_points(split_of(masks), labels_as_features(masks), 1, 500, generator(), mirrored=True)
    assert (drawn[:, 0] - labels).abs().max() > 1


def test_void_pixels_are_drawn_like_others():
    mask = np.zeros((32, 32), np.uint8)
    mask[:, :16] = 255
    _, labels = sample_points(split_of([mask]), labels_as_features([mask]), 0, 2000, generator())
    assert labels.unique().tolist() == [0, 255]
    assert 0.45 < (labels == 255).float().mean() < 0.55  # half of the pixels; 0.011 is a standard deviation


def dataset(views: int = 1, seed: int = 0) -> FeatureDataset:
    masks = random_masks()
    features = [labels_as_features(masks, mirrored=view == 1) for view in range(views)]
    return FeatureDataset(split_of(masks), features, seed=seed)


def test_a_sample_depends_only_on_seed_epoch_and_index():
    first, second = dataset(2), dataset(2)
    features, labels = first[2, 1, 32]
    second[2, 0, 32]
    again, labels_again = second[2, 1, 64]  # another crop size changes nothing: whole images are sampled
    assert torch.equal(features, again)
    assert torch.equal(labels, labels_again)
    assert not torch.equal(first[3, 1, 32][1], labels)  # another epoch
    assert not torch.equal(dataset(2, seed=1)[2, 1, 32][1], labels)
    assert (features.shape, len(first)) == ((POINTS_PER_IMAGE, 2), 3)


def test_both_views_are_drawn_with_labels_of_their_own():
    masks = random_masks()
    data = dataset(2)
    # a map that tells the views apart, beside the labels
    data.views = [
        features_of([[level, torch.full((1, 1, 1), float(view))] for level in (mask_map(mask, view) for mask in masks)])
        for view in range(2)
    ]
    views = set()
    for epoch in range(12):
        features, labels = data[epoch, 0, 32]
        assert torch.allclose(features[:, 0], labels.float(), atol=1e-3)
        views.add(features[0, 1].item())
    assert views == {0, 1}  # one of 4096 seeds would miss a view


def mask_map(mask: np.ndarray, view: int) -> Tensor:
    level = torch.from_numpy(mask.copy()).float()[None]
    return level.flip(-1) if view else level


def test_pooled_features_of_both_views():
    views = [features_of([[torch.full((4, 1, 1), 10.0 * view + index)] for index in range(3)]) for view in range(2)]
    targets = np.arange(60, dtype=np.uint8).reshape(3, 20)
    data = PooledDataset(targets, views, seed=0)
    assert pooled(views[1]).tolist() == [[10] * 4, [11] * 4, [12] * 4]
    samples = [data[epoch, 2, 32] for epoch in range(12)]
    assert {features[0].item() for features, _ in samples} == {2, 12}
    assert all(labels.tolist() == targets[2].tolist() for _, labels in samples)
    assert torch.equal(data[5, 2, 32][0], samples[5][0])
    samples[0][1].zero_()
    assert targets[2].any()  # the labels were a copy
