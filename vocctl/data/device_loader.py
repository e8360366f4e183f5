"""A training set that lies on the device, its batches augmented there: what `--augment-on gpu` reads."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vocctl.compat import declare_missing_ops
from vocctl.data.datasets import Place, TrainDataset
from vocctl.data.device_augment import GRAY, RANGES, affine_matrices, color_matrices, sampled_params
from vocctl.data.loaders import EpochBatchSampler
from vocctl.devices import to_device
from vocctl.labels import IGNORE

BLUR, SIGMA = 5, 1.0  # pixels


@dataclass(frozen=True)
class _Plan:
    """What is done to each image in one epoch, on the device."""

    epoch: int
    matrix: Tensor  # (N, 2, 3) of placing
    color_matrices: Tensor  # (N, 3)
    blurred: Tensor  # (N,) bool


class DeviceLoader:
    """Iterates as training_loader does: (images (B, 3, S, S), targets), both uint8, from batches.start_at on.

    An epoch's draws are sent at its start, and nothing waits for the device: a step costs few launches, on which a GPU's
    speed hangs with small batches.

    Raises torch.OutOfMemoryError where the images don't fit.
    """

    def __init__(self, images: TrainDataset, batches: EpochBatchSampler, device: torch.device) -> None:
        split = images.split
        self.images, self.batches, self.device = images, batches, device
        self.sizes = torch.tensor(split.sizes)  # (N, 2)
        ends = self.sizes.prod(1).cumsum(0)
        pixels = np.zeros((int(ends[-1]), 4), np.uint8)  # image after image: red, green, blue and the mask
        for index, end in enumerate(ends.tolist()):
            image = split.image(index).reshape(-1, 3)
            pixels[end - len(image) : end, :3] = image
            if images.targets is None:
                pixels[end - len(image) : end, 3] = split.mask(index).ravel()
        self.pixels = torch.from_numpy(pixels.view(np.int32)[:, 0]).to(device)  # (P,)
        self.starts, self.lasts = (ends - self.sizes.prod(1)).to(device), (self.sizes - 1).to(device)
        self.targets = None if images.targets is None else torch.from_numpy(np.asarray(images.targets)).to(device)
        self.numbers = torch.arange(max(map(max, split.sizes)), device=device)
        self.gray = GRAY.float().to(device)
        self.plan: _Plan | None = None

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for places in self.batches:
            yield self.batch(places)

    def batch(self, places: list[Place]) -> tuple[Tensor, Tensor]:
        """places have one epoch and one side in common."""
        epoch, _, side = places[0]
        if self.plan is None or self.plan.epoch != epoch:
            self.plan = self._planned(epoch)
        indices = torch.tensor([index for _, index, _ in places])
        height, width = self.sizes[indices].amax(0).tolist()
        there = self._sent(indices)
        matrix, lasts = self.plan.matrix[there], self.lasts[there]
        held = self._laid_out(self.starts[there], lasts, height, width)
        grid, inside = _aimed(matrix, lasts.flip(1), side)
        images = grid_sampled(held[:, :3], grid, "bilinear") * inside
        ranges = RANGES[self.images.augment]
        if ranges.jitter:
            images = color_jittered(images, self.plan.color_matrices[there], self.gray, inside)
        if ranges.blur:
            images = torch.where(self.plan.blurred[there][:, None, None, None], blurred_images(images), images)
        images = images.round_().to(torch.uint8)
        if self.targets is not None:
            return images, self.targets[there]
        masks = grid_sampled(held[:, 3:], grid, "nearest").to(torch.uint8)
        return images, masks.masked_fill_(~inside, IGNORE)[:, 0]

    def _planned(self, epoch: int) -> _Plan:
        ranges, draw = RANGES[self.images.augment], sampled_params(self.images.seed, epoch, len(self.sizes))
        matrix, changes = affine_matrices(draw, self.sizes.double(), ranges), color_matrices(draw, ranges)
        blurred = draw["blur"] < ranges.blur
        return _Plan(epoch, self._sent(matrix.float()), self._sent(changes.float()), self._sent(blurred))

    def _sent(self, numbers: Tensor) -> Tensor:
        return to_device(numbers.pin_memory() if self.device.type == "cuda" else numbers, self.device)

    def _laid_out(self, starts: Tensor, lasts: Tensor, height: int, width: int) -> Tensor:
        """(B, 4, H, W) float32: these images and their masks, their last rows and columns again and again to one size."""
        rows, columns = self.numbers[:height].minimum(lasts[:, :1]), self.numbers[:width].minimum(lasts[:, 1:])
        lines = torch.addcmul(starts[:, None], rows, lasts[:, 1:] + 1)
        laid = self.pixels[lines[:, :, None] + columns[:, None]]  # (B, H, W)
        return laid.view(torch.uint8).view(*laid.shape, 4).permute(0, 3, 1, 2).float()


def _aimed(matrix: Tensor, lasts: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """(B, S, S, 2) what grid_sample reads for each point of the squares, and (B, 1, S, S) whether that is in the image.

    matrix: (B, 2, 3) of placing. lasts: (B, 2), a image's last column and row; the largest are those of all, laid out.
    """
    along = (torch.arange(side, device=matrix.device) + 0.5) / side
    scale = 2 / lasts.amax(0).clamp(min=1)  # of grid_sample's units, from -1 to 1
    matrix = matrix * scale[:, None]
    columns, rows = matrix[:, None, :, 0] * along[:, None], matrix[:, None, :, 1] * along[:, None]  # (B, S, 2)
    points = columns[:, None] + (rows + (matrix[:, None, :, 2] - 0.5 * scale - 1))[:, :, None]  # (B, S, S, 2), x and y
    first, last = -1 - 0.5 * scale, (lasts + 0.5) * scale - 1  # their outer edges
    inside = (points >= first) & (points <= last[:, None, None])
    return points, (inside[..., 0] & inside[..., 1])[:, None]


def grid_sampled(values: Tensor, grid: Tensor, mode: str) -> Tensor:
    """values (B, C, H, W) at the points of grid (B, S, S, 2), float32; -1 and 1 are the middles of the outer pixels."""
    return F.grid_sample(values, grid, mode=mode, padding_mode="border", align_corners=True)


def blurred_images(images: Tensor) -> Tensor:
    """(B, 3, S, S), blurred."""
    declare_missing_ops()
    from torchvision.transforms.v2.functional import gaussian_blur

    return gaussian_blur(images, [BLUR, BLUR], [SIGMA, SIGMA])


def color_jittered(images: Tensor, changes: Tensor, shares: Tensor, inside: Tensor) -> Tensor:
    """images (B, 3, S, S) in [0, 255], black where they are not inside, (B, 1, S, S); changes: colors' (B, 3)."""
    own, gray, mean = changes[:, :, None, None, None].unbind(1)
    grays = (images * shares[:, None, None]).sum(1, keepdim=True)
    shared = torch.addcmul(grays.mean((2, 3), keepdim=True) * mean, grays, gray) * inside
    return torch.addcmul(shared, images, own).clamp_(0, 255)
