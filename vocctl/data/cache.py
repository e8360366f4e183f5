"""A decoded split in memory-mapped uint8 files, as models read it. Written by cache_build.py.

An image keeps its aspect ratio: see resizing.py. Masks are also stored at their original size, compressed: scores are
computed there.
"""

import hashlib
import mmap
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vocctl.errors import RunError
from vocctl.files import read_json
from vocctl.folders import temporary_cache_dir, user_cache_dir

IMAGES, MASKS, ORIGINAL_MASKS, INDEX = "images.bin", "masks.bin", "original_masks.bin", "index.json"


@dataclass(frozen=True)
class CachedSplit:
    """The decoded images of a split. ids[i], sizes[i], image(i) and mask(i) belong to the same image."""

    folder: Path
    ids: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]  # (H, W) in the cache
    original_sizes: tuple[tuple[int, int], ...]  # (H, W) on disk
    pixels: np.ndarray  # (sum of H * W * 3,) uint8, of all images
    labels: np.ndarray  # (sum of H * W,) uint8; empty if the split has no masks
    starts: np.ndarray  # (N,) index of each image's first pixel
    compressed_masks: np.ndarray  # bytes of the masks at their original size; empty if the split has no masks
    bounds: np.ndarray  # (N, 2) first byte of each compressed mask, and the byte after its last
    content_hashes: tuple[bytes, ...]  # of each image, see cache_build.content_hashes

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def has_masks(self) -> bool:
        return len(self.labels) > 0

    def image(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB, a read-only view of the file."""
        height, width = self.sizes[index]
        start = 3 * self.starts[index]
        return self.pixels[start : start + 3 * height * width].reshape(height, width, 3)

    def mask(self, index: int) -> np.ndarray:
        """(H, W) uint8 labels, a read-only view of the file."""
        height, width = self.sizes[index]
        start = self.starts[index]
        return self.labels[start : start + height * width].reshape(height, width)

    def original_mask(self, index: int) -> np.ndarray:
        """(H, W) uint8 labels at the image's original size. Raises RunError: the file was damaged after it was opened."""
        height, width = self.original_sizes[index]
        start, end = self.bounds[index]
        try:
            labels = zlib.decompressobj().decompress(self.compressed_masks[start:end].tobytes(), height * width)
            return np.frombuffer(labels, np.uint8).reshape(height, width).copy()
        except (zlib.error, ValueError) as error:
            raise RunError(f"{self.folder} was damaged: remove it and run the command again") from error

    @property
    def fingerprint(self) -> str:
        """Hex hash of the content of all images and masks, in order."""
        return fingerprint(self.content_hashes)

    def release_pages(self) -> None:
        """Let the system reuse the memory of pages that were read. Views stay valid: their pages are read again."""
        for array in (self.pixels, self.labels, self.compressed_masks):
            if isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                array.base.madvise(mmap.MADV_DONTNEED)

    def take(self, indices: Sequence[int]) -> "CachedSplit":
        """The images with these indices, in this order. No pixels are copied."""
        return replace(
            self,
            ids=tuple(self.ids[i] for i in indices),
            sizes=tuple(self.sizes[i] for i in indices),
            original_sizes=tuple(self.original_sizes[i] for i in indices),
            starts=self.starts[np.array(indices, np.int64)],
            bounds=self.bounds[np.array(indices, np.int64)] if self.has_masks else self.bounds,
            content_hashes=tuple(self.content_hashes[i] for i in indices),
        )


def default_cache_dir() -> Path:
    """VOCCTL_CACHE, or else `vocctl` in the user's cache folder, or else a folder of temporary files.

    Raises RunError: none of them can be written.
    """
    if folder := os.environ.get("VOCCTL_CACHE"):
        return Path(folder)
    parent = user_cache_dir()
    return temporary_cache_dir() if parent is None else parent / "vocctl"


def fingerprint(content_hashes: Sequence[bytes]) -> str:
    """Hex hash of these hashes and their order."""
    return hashlib.blake2b(b"".join(content_hashes), digest_size=16).hexdigest()


def open_cache(folder: Path, content_hashes: tuple[bytes, ...]) -> CachedSplit | None:
    """The cache in folder; None if there is none, or if a file does not have the length that the index states."""
    try:
        index = read_json(folder / INDEX)
        sizes = tuple((int(height), int(width)) for height, width in index["sizes"])
        original_sizes = tuple((int(height), int(width)) for height, width in index["original_sizes"])
        ends = np.cumsum([height * width for height, width in sizes])
        mask_lengths = np.array(index["mask_lengths"], np.int64)
        pixels, labels, compressed_masks = (_map_file(folder / name) for name in (IMAGES, MASKS, ORIGINAL_MASKS))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not len(ends) or len(pixels) != 3 * ends[-1] or len(labels) not in (0, ends[-1]):
        return None
    if len(compressed_masks) != mask_lengths.sum() or len(mask_lengths) != (len(sizes) if len(labels) else 0):
        return None
    mask_ends = np.cumsum(mask_lengths)
    return CachedSplit(
        folder=folder,
        ids=tuple(index["ids"]),
        sizes=sizes,
        original_sizes=original_sizes,
        pixels=pixels,
        labels=labels,
        starts=np.append(0, ends[:-1]),
        compressed_masks=compressed_masks,
        bounds=np.stack([mask_ends - mask_lengths, mask_ends], axis=1),
        content_hashes=content_hashes,
    )


def _map_file(path: Path) -> np.ndarray:
    return np.memmap(path, np.uint8, "r") if path.stat().st_size else np.empty(0, np.uint8)
