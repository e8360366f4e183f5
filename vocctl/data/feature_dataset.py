"""Training samples on a frozen encoder's features: random points of an image for a pixel classifier, or an image's pooled
features for a classifier's head.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from vocctl.data.cache import CachedSplit
from vocctl.data.datasets import SampleKey
from vocctl.data.feature_cache import CachedFeatures
from vocctl.seeding import derived_seed

POINTS_PER_IMAGE = 128


class FeatureDataset(Dataset):
    """(features (P, D) float32, labels (P,) uint8) of P random points of an image, other points in each epoch.

    As TrainDataset it is indexed by (epoch, index, crop size); the size is not used: whole images are sampled.
    """

    def __init__(self, images: CachedSplit, views: Sequence[CachedFeatures], *, seed: int) -> None:
        """views: the features of the images and, if there is a second one, of the mirrored images."""
        self.images, self.views, self.seed = images, views, seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: SampleKey) -> tuple[Tensor, Tensor]:
        epoch, index, _ = key
        generator = torch.Generator().manual_seed(derived_seed("points", self.seed, epoch, index))
        view = int(torch.randint(len(self.views), (), generator=generator))
        return sample_points(self.images, self.views[view], index, POINTS_PER_IMAGE, generator, mirrored=view == 1)


class PooledDataset(Dataset):
    """(features (D,) float32, labels (20,) uint8) of an image or, by chance, of its mirror image."""

    def __init__(self, targets: np.ndarray, views: Sequence[CachedFeatures], *, seed: int) -> None:
        """targets: (N, 20). views: as in FeatureDataset, whose last map is a single pixel."""
        self.targets, self.views, self.seed = targets, views, seed

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, key: SampleKey) -> tuple[Tensor, Tensor]:
        epoch, index, _ = key
        generator = torch.Generator().manual_seed(derived_seed("view", self.seed, epoch, index))
        view = self.views[int(torch.randint(len(self.views), (), generator=generator))]
        return view.maps(index)[-1].flatten(), torch.from_numpy(np.array(self.targets[index]))


def pooled(features: CachedFeatures) -> Tensor:
    """(N, D) float32 from the last map of each image, a single pixel. No features: (0, 0)."""
    rows = [features.maps(index)[-1].flatten() for index in range(len(features))]
    return torch.stack(rows) if rows else torch.empty(0, 0)


def sample_points(
    images: CachedSplit,
    features: CachedFeatures,
    index: int,
    count: int,
    generator: torch.Generator,
    *,
    mirrored: bool = False,
) -> tuple[Tensor, Tensor]:
    """Features (P, D) float32 and labels (P,) uint8 at random pixels of one image; void pixels are drawn like others."""
    mask = images.mask(index)
    height, width = mask.shape
    pixels = torch.randint(height * width, (count,), generator=generator)
    rows, columns = pixels // width, pixels % width
    labels = torch.from_numpy(np.array(mask[rows.numpy(), columns.numpy()]))
    if mirrored:
        columns = width - 1 - columns
    points = torch.stack([(columns + 0.5) / width, (rows + 0.5) / height], 1) * 2 - 1
    return features_at_points(features.maps(index), points), labels


def features_at_points(maps: Sequence[Tensor], points: Tensor) -> Tensor:
    """Features (P, D) of an image's maps (C, h, w), finest first, at P points, and the mean of the last map.

    They are those of models/pixel_classifier.py. points: (P, 2), x and y; -1 and 1 are the image's edges.
    """
    sampled = [
        F.grid_sample(level[None], points[None, None], mode="bilinear", padding_mode="border", align_corners=False)[
            0, :, 0
        ]
        for level in maps
    ]
    return torch.cat([*sampled, maps[-1].mean((1, 2))[:, None].expand(-1, len(points))]).T.contiguous()
