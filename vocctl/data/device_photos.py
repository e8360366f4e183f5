"""A training set that lies on the device, its batches augmented there: what `--augment-on gpu` reads."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from vocctl.data.datasets import Place, TrainingPhotos
from vocctl.data.device_augment import RANGES, TO_YIQ, colours, drawn, placing
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
        images, at, inside = self._sampled(placing(draw, sizes, side, ranges), sizes, self.starts[there], side)
        if ranges.jitter:
            images = recoloured(images, self._sent(colours(draw, ranges).float())) * inside[:, None]
        if ranges.blur:
            blurred = self._sent(draw["blur"] < ranges.blur)
            images = torch.where(blurred[:, None, None, None], smoothed(images), images)
        images = images.round_().to(torch.uint8)
        if self.photos.targets is not None:
            return images, self.targets[there]
        return images, self.targets[at].masked_fill(~inside, IGNORE)

    def _sent(self, numbers: Tensor) -> Tensor:
        return moved(numbers, self.device)

    def _sampled(self, matrix: Tensor, sizes: Tensor, starts: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, S, S) in [0, 255], bilinear, 0 outside of the photo; (B, S, S) the nearest pixel, and whether inside."""
        matrix, sides = self._sent(matrix.float()), self._sent(sizes.flip(1).float())
        centres = torch.arange(side, device=self.device) + 0.5
        grid = torch.stack([centres.expand(side, side), centres[:, None].expand(side, side)], -1)  # x, y
        points = grid.view(1, -1, 2) @ matrix[:, :, :2].mT + matrix[:, None, :, 2] - 0.5  # (B, S * S, 2)
        last = sides[:, None] - 1
        inside = ((points >= -0.5) & (points <= last + 0.5)).all(-1)

        def flat(corner: Tensor) -> Tensor:
            corner = corner.clamp(min=0).minimum(last).long()
            return starts[:, None] + corner[..., 1] * sides[:, None, 0].long() + corner[..., 0]

        points = points.clamp(min=0).minimum(last)
        low = points.floor()
        right, down = (points - low).unbind(-1)
        images = torch.zeros((), device=self.device)
        for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):
            weight = (right if x else 1 - right) * (down if y else 1 - down) * inside
            corner = torch.stack([low[..., 0] + x, low[..., 1] + y], -1)
            images = images + weight[..., None] * self.pixels[flat(corner)]
        square = (len(matrix), side, side)
        return images.mT.reshape(square[0], 3, side, side), flat(points.round()).view(square), inside.view(square)


def smoothed(images: Tensor) -> Tensor:
    """(B, 3, S, S), blurred."""
    declare_missing_ops()
    from torchvision.transforms.v2.functional import gaussian_blur

    return gaussian_blur(images, [BLUR, BLUR], [SIGMA, SIGMA])


def recoloured(images: Tensor, changes: Tensor) -> Tensor:
    """images (B, 3, S, S) in [0, 255]; changes as device_augment's colours: brightness, contrast, then the matrix."""
    images = (images * changes[:, :, 3, None, None]).clamp(0, 255)
    luma = moved(TO_YIQ[0].to(images.dtype), images.device)
    mean = torch.einsum("bchw,c->bhw", images, luma).mean((1, 2))[:, None, None, None]
    images = (mean + (images - mean) * changes[:, :, 4, None, None]).clamp(0, 255)
    return torch.einsum("bij,bjhw->bihw", changes[:, :, :3], images).clamp(0, 255)
