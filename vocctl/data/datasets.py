"""What a loader reads: cached photos as uint8 tensors, augmented or as they are.

A sample's augmentation is decided by (seed, epoch, index) alone: the same with any number of workers, and the same after
a resume. So the training set is asked for (epoch, index), not for an index.
"""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vocctl.data.augment import augmented, preset
from vocctl.data.cache import CachedSplit
from vocctl.seeding import derived_seed


class TrainingPhotos(Dataset):
    """(image (3, S, S) uint8, mask (S, S) uint8), newly augmented each epoch."""

    def __init__(self, split: CachedSplit, *, augment: str, size: int, seed: int) -> None:
        self.split = split
        self.transform = preset(augment, size)
        self.seed = seed

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, place: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, index = place
        draw = derived_seed("augment", self.seed, epoch, index)
        image, mask = augmented(self.transform, self.split.image(index), self.split.mask(index), draw)
        return _to_tensor(image), torch.from_numpy(np.array(mask))


class ScoredPhotos(Dataset):
    """(index, image (3, H, W) uint8) at the cache's size; sides differ between photos."""

    def __init__(self, split: CachedSplit) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[int, Tensor]:
        return index, _to_tensor(self.split.image(index))


def _to_tensor(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 to (3, H, W): copied out of the map; channels last already."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)
