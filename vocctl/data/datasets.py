"""The data sets that loaders read: cached images as uint8 tensors, augmented for training or unchanged for evaluation.

The random parameters of a sample depend only on (seed, epoch, index): they are the same with any number of workers, and
after a resume. A training data set is therefore indexed by (epoch, index, crop size).
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vocctl.data.augment import augment_image, augment_pair, preset
from vocctl.data.cache import CachedSplit
from vocctl.data.splits import ClsSplit, LabeledSplit
from vocctl.seeding import derived_seed

if TYPE_CHECKING:
    from vocctl.data.augment import Compose

SampleKey = tuple[int, int, int]  # epoch, index, side of the crop in pixels
RELEASE_EVERY = 500  # samples: the memory of a process stays bounded for data sets of any size


class TrainDataset(Dataset):
    """(image (3, S, S) uint8, target), augmented differently in each epoch.

    The target of a SegSplit is the mask, (S, S) uint8, transformed like the image; of a ClsSplit, the labels, (20,) uint8.
    """

    def __init__(self, split: LabeledSplit, *, augment: str, seed: int) -> None:
        """augment: name of a preset of augment.py."""
        self.split, self.augment, self.seed = split, augment, seed
        self.transforms: dict[int, Compose] = {}  # by side of the crop
        self.num_read = 0

    def __len__(self) -> int:
        return len(self.split.images)

    def __getitem__(self, key: SampleKey) -> tuple[Tensor, Tensor]:
        epoch, index, side = key
        self.num_read += 1
        if self.num_read % RELEASE_EVERY == 0:
            self.split.images.release_pages()
        if side not in self.transforms:
            self.transforms[side] = preset(self.augment, side)
        transform, seed = self.transforms[side], derived_seed("augment", self.seed, epoch, index)
        image = self.split.images.image(index)
        if isinstance(self.split, ClsSplit):
            target = self.split.targets[index]
            image = augment_image(transform, image, seed)
        else:
            image, target = augment_pair(transform, image, self.split.images.mask(index), seed)
        return _to_tensor(image), torch.from_numpy(np.array(target))


class EvalDataset(Dataset):
    """(index, image (3, H, W) uint8) at the cache's size, which differs between images."""

    def __init__(self, split: CachedSplit) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[int, Tensor]:
        return index, _to_tensor(self.split.image(index))


def _to_tensor(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 to (3, H, W), channels last in memory. A view of the cache's file is copied."""
    return torch.from_numpy(image if image.flags.writeable else np.array(image)).permute(2, 0, 1)
