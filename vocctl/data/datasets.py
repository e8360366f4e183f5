"""What a loader reads: cached images as uint8 tensors, augmented or as they are.

A sample's augmentation is decided by (seed, epoch, index) alone: the same with any number of workers, and the same after
a resume. So a training set is asked for (epoch, index, side), not for an index.
"""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vocctl.data.augment import A, augmented, preset
from vocctl.data.cache import CachedSplit
from vocctl.seeding import derived_seed

Place = tuple[int, int, int]  # epoch, index, side of the crop
LET_GO_EVERY = 500  # images: the memory of a process does not grow with the data set


class TrainDataset(Dataset):
    """(image (3, S, S) uint8, target), newly augmented each epoch. The target is the mask, (S, S) uint8, or a given one."""

    def __init__(self, split: CachedSplit, *, augment: str, seed: int, targets: np.ndarray | None = None) -> None:
        """targets: (N, ...) uint8, one for each image; left out, the masks, cut and turned as their images are."""
        self.split, self.augment, self.seed, self.targets = split, augment, seed, targets
        self.transforms: dict[int, A.Compose] = {}  # by side
        self.read = 0

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, place: Place) -> tuple[Tensor, Tensor]:
        epoch, index, side = place
        self.read += 1
        if self.read % LET_GO_EVERY == 0:
            self.split.release_pages()
        if side not in self.transforms:
            self.transforms[side] = preset(self.augment, side)
        draw = derived_seed("augment", self.seed, epoch, index)
        mask = self.split.mask(index) if self.targets is None else None
        image, mask = augmented(self.transforms[side], self.split.image(index), mask, draw)
        target = mask if self.targets is None else self.targets[index]
        return _to_tensor(image), torch.from_numpy(np.array(target))


class EvalDataset(Dataset):
    """(index, image (3, H, W) uint8) at the cache's size; sides differ between images."""

    def __init__(self, split: CachedSplit) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[int, Tensor]:
        return index, _to_tensor(self.split.image(index))


def _to_tensor(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 to (3, H, W), channels last already; copied where it is a view of the map."""
    return torch.from_numpy(image if image.flags.writeable else np.array(image)).permute(2, 0, 1)
