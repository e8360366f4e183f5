"""A frozen encoder's feature maps of a cached split, computed once and memory-mapped in half precision.

Like the decoded images (cache_build.py), a folder of features is complete or absent, its name contains a hash of all that
decides its content, and processes that need the same one wait on a file lock while one of them computes it.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vocctl.data.cache import CachedSplit, default_cache_dir
from vocctl.data.cache_folder import open_or_build
from vocctl.data.images import READER_VERSION
from vocctl.data.loaders import same_shape_batches
from vocctl.files import read_json

FEATURES, INDEX = "features.bin", "index.json"
VERSION = 2  # of the files' format and of the images' resize
BATCH = 16
MAX_HALF = 65504.0  # largest number in half precision
FREE_BYTES = 1 << 30  # of the disk that the features leave free

Encode = Callable[[Tensor], Sequence[Tensor]]  # images (B, 3, H, W) uint8 to maps (B, C, h, w), finest first
OnImage = Callable[[int, int], None]  # called with (images done, all images)


@dataclass(frozen=True)
class CachedFeatures:
    """The feature maps of each image of a split, in its order."""

    shapes: tuple[tuple[tuple[int, int, int], ...], ...]  # (C, h, w) of each map of each image
    starts: np.ndarray  # (N,) index of each image's first value
    values: np.ndarray  # float16

    def __len__(self) -> int:
        return len(self.shapes)

    def without_last_map(self) -> "CachedFeatures":
        """The same features, of which maps returns all but the last map."""
        return replace(self, shapes=tuple(maps[:-1] for maps in self.shapes))

    def maps(self, index: int) -> list[Tensor]:
        """Maps (C, h, w) float32 of one image, finest first."""
        maps, start = [], int(self.starts[index])
        for channels, height, width in self.shapes[index]:
            end = start + channels * height * width
            values = torch.from_numpy(self.values[start:end].astype(np.float32))
            maps.append(values.view(channels, height, width))
            start = end
        return maps


def cached_features(
    images: CachedSplit,
    encode: Encode,
    encoder_hash: str,
    *,
    mirrored: bool = False,
    cache_dir: Path | None = None,
    on_image: OnImage | None = None,
) -> CachedFeatures:
    """The feature maps of all images; computed unless the cache holds them.

    encoder_hash: of everything that decides what encode returns. mirrored: of the images flipped horizontally.
    Raises RunError: the cache folder is not writable, or its disk is too small.
    """
    return open_or_build(
        _folder(images, encoder_hash, mirrored, cache_dir),
        lambda complete: _open(complete, len(images)),
        lambda empty: _compute(images, encode, mirrored, empty, on_image),
        content="features",
        advice="free space, set --cache-dir, or use --no-cache-features",
    )


def are_cached(images: CachedSplit, encoder_hash: str, *, cache_dir: Path | None = None) -> bool:
    """Whether cached_features would find the features of the images, not mirrored."""
    return _open(_folder(images, encoder_hash, False, cache_dir), len(images)) is not None


def _folder(images: CachedSplit, encoder_hash: str, mirrored: bool, cache_dir: Path | None) -> Path:
    content = f"{VERSION}/{READER_VERSION}/{encoder_hash}/{images.fingerprint}/{images.sizes}/{mirrored}"
    key = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
    return (cache_dir or default_cache_dir()) / f"features-{key}"


def _open(folder: Path, num_images: int) -> CachedFeatures | None:
    """The features in folder; None if there are none, or if the file does not have the length that the index states."""
    try:
        index = read_json(folder / INDEX)
        shapes = tuple(tuple((int(c), int(h), int(w)) for c, h, w in maps) for maps in index["shapes"])
        starts = np.array(index["starts"], np.int64)
        values = np.memmap(folder / FEATURES, np.float16, "r")
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    counts = [sum(c * h * w for c, h, w in maps) for maps in shapes]
    if len(shapes) != num_images or len(starts) != num_images or sum(counts) != len(values):
        return None
    if min(starts) < 0 or max(starts + counts) > len(values):
        return None
    return CachedFeatures(shapes, starts, values)


def _compute(images: CachedSplit, encode: Encode, mirrored: bool, folder: Path, on_image: OnImage | None) -> None:
    """Write the features in the order of the batches, which hold images of one size each."""
    shapes: list[list[tuple[int, ...]]] = [[] for _ in range(len(images))]
    starts, written, done = [0] * len(images), 0, 0
    with (folder / FEATURES).open("wb") as file:
        for indices in same_shape_batches(images.sizes, BATCH):
            pixels = torch.from_numpy(np.stack([images.image(index) for index in indices])).permute(0, 3, 1, 2)
            maps = [level.float().clamp(-MAX_HALF, MAX_HALF).half().cpu() for level in encode(_flip(pixels, mirrored))]
            if written == 0:
                _check_space(folder, maps, images, indices[0])
            for position, index in enumerate(indices):
                starts[index] = written
                for level in maps:
                    values = level[position].contiguous().numpy()
                    shapes[index].append(values.shape)
                    written += values.size
                    file.write(values.tobytes())
            done += len(indices)
            if on_image:
                on_image(done, len(images))
    (folder / INDEX).write_text(json.dumps({"shapes": shapes, "starts": starts}), encoding="utf-8")


def _flip(pixels: Tensor, mirrored: bool) -> Tensor:
    return pixels.flip(-1) if mirrored else pixels


def _check_space(folder: Path, maps: Sequence[Tensor], images: CachedSplit, index: int) -> None:
    """Raise OSError if the features of all images do not fit on the disk. maps: of the image with this index, and others."""
    height, width = images.sizes[index]
    per_pixel = sum(level[0].numel() for level in maps) * 2 / (height * width)
    needed = per_pixel * sum(height * width for height, width in images.sizes)
    free = shutil.disk_usage(folder).free - FREE_BYTES
    if needed > free:
        raise OSError(f"they need {needed / 1e9:.1f} GB and {max(free, 0) / 1e9:.1f} GB are free")
