"""A training set in the device's memory whose batches are augmented there (`--augment-on auto` or `gpu`)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vocctl.compat import declare_missing_ops
from vocctl.config.data import AugmentDevice
from vocctl.data.datasets import SampleKey, TrainDataset
from vocctl.data.device_augment import GRAY, RANGES, affine_matrices, color_weights, uniform_draws
from vocctl.data.loaders import EpochBatchSampler
from vocctl.data.splits import ClsSplit, LabeledSplit
from vocctl.devices import to_device
from vocctl.labels import IGNORE

BLUR_SIZE, BLUR_SIGMA = 5, 1.0  # pixels
BYTES_PER_PIXEL = 4  # R, G, B and the label of the mask
MAX_MEMORY_SHARE = 0.25  # of a GPU's memory that the images may take with --augment-on auto


@dataclass(frozen=True)
class _EpochParams:
    """How each image is augmented in one epoch, on the device."""

    epoch: int
    matrices: Tensor  # (N, 2, 3) of affine_matrices
    colors: Tensor  # (N, 3) of color_weights
    blurred: Tensor  # (N,) bool


def augments_on_device(augment_on: AugmentDevice, dataset: TrainDataset, device: torch.device) -> bool:
    """Whether training on this device uses a DeviceLoader. auto depends on the device's whole memory, not on what is free.

    A resumed run on the same machine therefore gets the same augmentation.
    """
    if augment_on != "auto" or device.type != "cuda":
        return augment_on == "gpu"
    num_bytes = BYTES_PER_PIXEL * sum(height * width for height, width in dataset.split.images.sizes)
    return num_bytes <= MAX_MEMORY_SHARE * torch.cuda.get_device_properties(device).total_memory


class DeviceLoader:
    """Yields (images (B, 3, S, S), targets), both uint8, as train_loader does.

    The parameters of an epoch are sent to the device at its start, and no step waits for the device: a step launches few
    kernels, which limit the speed of a GPU with small batches.
    """

    def __init__(self, dataset: TrainDataset, batches: EpochBatchSampler, device: torch.device) -> None:
        """Raises torch.OutOfMemoryError if the images do not fit."""
        split = dataset.split
        self.dataset, self.batches, self.device = dataset, batches, device
        self.sizes = torch.tensor(split.images.sizes)  # (N, 2)
        ends = self.sizes.prod(1).cumsum(0)
        self.pixels = torch.from_numpy(_pack_pixels(split, ends)).to(device)  # (P,) int32
        self.starts, self.last_pixels = (ends - self.sizes.prod(1)).to(device), (self.sizes - 1).to(device)
        targets = split.targets if isinstance(split, ClsSplit) else None  # None: the masks, which are in pixels
        self.targets = None if targets is None else torch.from_numpy(np.asarray(targets)).to(device)
        self.numbers = torch.arange(max(map(max, split.images.sizes)), device=device)
        self.gray = GRAY.float().to(device)
        self.params: _EpochParams | None = None

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for keys in self.batches:
            yield self.batch(keys)

    def batch(self, keys: list[SampleKey]) -> tuple[Tensor, Tensor]:
        """keys: all of one epoch and one crop size."""
        epoch, _, side = keys[0]
        if self.params is None or self.params.epoch != epoch:
            self.params = self._sample_epoch(epoch)
        indices = torch.tensor([index for _, index, _ in keys])
        height, width = self.sizes[indices].amax(0).tolist()
        indices = self._send(indices)
        matrices, last_pixels = self.params.matrices[indices], self.last_pixels[indices]
        padded = self._pad_to_one_size(self.starts[indices], last_pixels, height, width)
        grid, inside = sampling_grid(matrices, last_pixels.flip(1), side)
        images = grid_sample(padded[:, :3], grid, "bilinear") * inside
        ranges = RANGES[self.dataset.augment]
        if ranges.jitter:
            images = jitter_colors(images, self.params.colors[indices], self.gray, inside)
        if ranges.blur:
            images = torch.where(self.params.blurred[indices][:, None, None, None], blur(images), images)
        images = images.round_().to(torch.uint8)
        if self.targets is not None:
            return images, self.targets[indices]
        masks = grid_sample(padded[:, 3:], grid, "nearest").to(torch.uint8)
        return images, masks.masked_fill_(~inside, IGNORE)[:, 0]

    def _sample_epoch(self, epoch: int) -> _EpochParams:
        ranges, draws = RANGES[self.dataset.augment], uniform_draws(self.dataset.seed, epoch, len(self.sizes))
        matrices = affine_matrices(draws, self.sizes.double(), ranges)
        colors = color_weights(draws, ranges)
        blurred = draws["blur"] < ranges.blur
        return _EpochParams(epoch, self._send(matrices.float()), self._send(colors.float()), self._send(blurred))

    def _send(self, numbers: Tensor) -> Tensor:
        return to_device(numbers.pin_memory() if self.device.type == "cuda" else numbers, self.device)

    def _pad_to_one_size(self, starts: Tensor, last_pixels: Tensor, height: int, width: int) -> Tensor:
        """(B, 4, H, W) float32: images and masks, padded to one size by repeating their last rows and columns.

        starts: (B,) index of each image's first pixel. last_pixels: (B, 2), last row and column of each image.
        """
        rows = self.numbers[:height].minimum(last_pixels[:, :1])
        columns = self.numbers[:width].minimum(last_pixels[:, 1:])
        row_starts = torch.addcmul(starts[:, None], rows, last_pixels[:, 1:] + 1)
        pixels = self.pixels[row_starts[:, :, None] + columns[:, None]]  # (B, H, W)
        return pixels.view(torch.uint8).view(*pixels.shape, 4).permute(0, 3, 1, 2).float()


def _pack_pixels(split: LabeledSplit, ends: Tensor) -> np.ndarray:
    """(P,) int32: the pixels of all images in a row; the four bytes of each are R, G, B and the label of its mask.

    ends: (N,) index after each image's last pixel.
    """
    packed = np.zeros((int(ends[-1]), BYTES_PER_PIXEL), np.uint8)
    for index, end in enumerate(ends.tolist()):
        image = split.images.image(index).reshape(-1, 3)
        packed[end - len(image) : end, :3] = image
        if split.images.has_masks:
            packed[end - len(image) : end, 3] = split.images.mask(index).ravel()
    return packed.view(np.int32)[:, 0]


def sampling_grid(matrices: Tensor, last_pixels: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The grid (B, S, S, 2) of points for grid_sample, and (B, 1, S, S) bool: whether each point is inside its image.

    matrices: (B, 2, 3) of affine_matrices. last_pixels: (B, 2), last column and row of each image; the largest of them are
    those of the padded batch.
    """
    centers = (torch.arange(side, device=matrices.device) + 0.5) / side
    scale = 2 / last_pixels.amax(0).clamp(min=1)  # pixels to grid_sample's units, which are -1 to 1
    matrices = matrices * scale[:, None]
    columns, rows = matrices[:, None, :, 0] * centers[:, None], matrices[:, None, :, 1] * centers[:, None]  # (B, S, 2)
    points = (
        columns[:, None] + (rows + (matrices[:, None, :, 2] - 0.5 * scale - 1))[:, :, None]
    )  # (B, S, S, 2), x and y
    first, last = -1 - 0.5 * scale, (last_pixels + 0.5) * scale - 1  # outer edges of the image
    inside = (points >= first) & (points <= last[:, None, None])
    return points, (inside[..., 0] & inside[..., 1])[:, None]


def grid_sample(values: Tensor, grid: Tensor, mode: str) -> Tensor:
    """Sample values (B, C, H, W) at the points of grid (B, S, S, 2); -1 and 1 are the centers of the outer pixels."""
    return F.grid_sample(values, grid, mode=mode, padding_mode="border", align_corners=True)


def blur(images: Tensor) -> Tensor:
    """Blur images (B, 3, S, S)."""
    declare_missing_ops()
    from torchvision.transforms.v2.functional import gaussian_blur

    return gaussian_blur(images, [BLUR_SIZE, BLUR_SIZE], [BLUR_SIGMA, BLUR_SIGMA])


def jitter_colors(images: Tensor, colors: Tensor, gray_weights: Tensor, inside: Tensor) -> Tensor:
    """Change the colors of images (B, 3, S, S) in [0, 255].

    colors: (B, 3) of color_weights. gray_weights: (3,). inside: (B, 1, S, S); pixels outside are black and stay black.
    """
    own, gray, mean = colors[:, :, None, None, None].unbind(1)
    grays = (images * gray_weights[:, None, None]).sum(1, keepdim=True)
    gray_part = torch.addcmul(grays.mean((2, 3), keepdim=True) * mean, grays, gray) * inside
    return torch.addcmul(gray_part, images, own).clamp_(0, 255)
