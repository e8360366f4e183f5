"""A training set that lies on the device, its batches augmented there: what `--augment-on gpu` reads."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vocctl.data.datasets import Place, TrainingPhotos
from vocctl.data.device_augment import GREY, RANGES, colours, drawn, placing
from vocctl.data.loaders import EpochBatches
from vocctl.devices import moved
from vocctl.labels import IGNORE
from vocctl.torchvision_ops import declare_missing_ops

BLUR, SIGMA = 5, 1.0  # pixels


class DeviceBatches:
    """Iterates as training_loader does: (images (B, 3, S, S), targets), both uint8, from batches.start_at on.

    What little a batch needs from the CPU is sent without waiting for the device.

    Raises torch.OutOfMemoryError where the photos don't fit.
    """

    def __init__(self, photos: TrainingPhotos, batches: EpochBatches, device: torch.device) -> None:
        split = photos.split
        self.photos, self.batches, self.device = photos, batches, device
        held = [split.image(index).reshape(-1, 3) for index in range(len(split))]
        self.pixels = torch.from_numpy(np.concatenate(held)).to(device)  # (P, 3), photo after photo
        self.starts = torch.tensor(np.cumsum([0, *map(len, held)])[:-1], device=device)
        self.sizes = torch.tensor(split.sizes, dtype=torch.float64)  # (N, 2)
        by_pixel = photos.targets is None
        targets = np.concatenate([split.mask(i).ravel() for i in range(len(split))]) if by_pixel else photos.targets
        self.targets = torch.from_numpy(np.asarray(targets)).to(device)  # (P,) masks, or (N, ...)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for places in self.batches:
            yield self.batch(places)

    def batch(self, places: list[Place]) -> tuple[Tensor, Tensor]:
        """places have one side in common."""
        side, indices = places[0][2], torch.tensor([index for _, index, _ in places])
        sizes, there = self.sizes[indices], self._sent(indices)
        ranges, draw = RANGES[self.photos.augment], drawn(self.photos.seed, [place[:2] for place in places])
        laid = self._laid_out(sizes, self.starts[there])
        grid, inside = self._aimed(placing(draw, sizes, side, ranges), sizes, side)
        images = sampled(self.pixels[laid].permute(0, 3, 1, 2), grid, "bilinear") * inside[:, None]
        if ranges.jitter:
            images = recoloured(images, self._sent(colours(draw, ranges).float())) * inside[:, None]
        if ranges.blur:
            blurred = self._sent(draw["blur"] < ranges.blur)
            images = torch.where(blurred[:, None, None, None], smoothed(images), images)
        images = images.round_().to(torch.uint8)
        if self.photos.targets is not None:
            return images, self.targets[there]
        masks = sampled(self.targets[laid][:, None], grid, "nearest")[:, 0].to(torch.uint8)
        return images, masks.masked_fill(~inside, IGNORE)

    def _sent(self, numbers: Tensor) -> Tensor:
        return moved(numbers, self.device)

    def _laid_out(self, sizes: Tensor, starts: Tensor) -> Tensor:
        """(B, H, W) int64: where in pixels each pixel of these photos lies, their last rows and columns again and again."""
        height, width = (int(side) for side in sizes.amax(0))
        rows, columns = (torch.arange(side, device=self.device) for side in (height, width))
        lasts = self._sent(sizes.long()) - 1
        rows, columns = rows.minimum(lasts[:, :1]), columns.minimum(lasts[:, 1:])
        lines = starts[:, None] + rows * (lasts[:, 1:] + 1)
        return lines[:, :, None] + columns[:, None]

    def _aimed(self, matrix: Tensor, sizes: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """(B, S, S, 2) what grid_sample reads for each point of the squares, and (B, S, S) whether that is in the photo."""
        matrix, last = self._sent(matrix.float()), self._sent(sizes.flip(1).float())[:, None] - 1
        whole = self._sent(sizes.amax(0).flip(0).float()) - 1
        centres = torch.arange(side, device=self.device) + 0.5
        grid = torch.stack([centres.expand(side, side), centres[:, None].expand(side, side)], -1)  # x, y
        points = torch.baddbmm(
            matrix[:, None, :, 2] - 0.5, grid.view(1, -1, 2).expand(len(matrix), -1, 2), matrix[:, :, :2].mT
        )
        inside = ((points >= -0.5) & (points <= last + 0.5)).all(-1)
        points = points.clamp_(min=0).minimum(last).mul_(2 / whole).sub_(1)
        return points.view(-1, side, side, 2), inside.view(-1, side, side)


def sampled(values: Tensor, grid: Tensor, mode: str) -> Tensor:
    """values (B, C, H, W) at the points of grid (B, S, S, 2), float32; -1 and 1 are the middles of the outer pixels."""
    return F.grid_sample(values.float(), grid, mode=mode, align_corners=True)


def smoothed(images: Tensor) -> Tensor:
    """(B, 3, S, S), blurred."""
    declare_missing_ops()
    from torchvision.transforms.v2.functional import gaussian_blur

    return gaussian_blur(images, [BLUR, BLUR], [SIGMA, SIGMA])


def recoloured(images: Tensor, changes: Tensor) -> Tensor:
    """images (B, 3, S, S) in [0, 255]; changes as device_augment's colours: brightness, contrast, then the matrix."""
    images = (images * changes[:, :, 3, None, None]).clamp_(0, 255)
    mean = (images.mean((2, 3)) @ moved(GREY.to(images.dtype), images.device))[:, None, None, None]
    images = torch.lerp(mean, images, changes[:, :, 4, None, None]).clamp_(0, 255)
    return torch.bmm(changes[:, :, :3], images.flatten(2)).view_as(images).clamp_(0, 255)
