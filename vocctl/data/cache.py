"""Images and masks of one split, decoded and resized once into memory-mapped uint8 files.

A image keeps its shape: its shorter side becomes `size` pixels and both sides are rounded to multiples of 32, which is
what the encoders halve five times. Masks are held at their own size too, deflated: scores are counted there. The cache's
folder is named by a hash of the files' bytes, the size and this file's VERSION; so another image, or a mended mask, makes
another cache. It is written into a folder of its own and renamed when whole: two processes that build it at once do the
work twice and keep one. A cache cut short is built again.
"""

import hashlib
import json
import mmap
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from vocctl.data.source import Source
from vocctl.errors import DataError, RunError
from vocctl.files import check_regular_file, read_json
from vocctl.resizing import model_input_size

VERSION = 3


@dataclass(frozen=True)
class CachedSplit:
    """ids[i] is image i; image(i) and mask(i) are views of the mapped files, own_sizes[i] its (H, W) on disk."""

    folder: Path
    ids: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    original_sizes: tuple[tuple[int, int], ...]
    pixels: np.ndarray  # (sum of H * W * 3,) uint8
    labels: np.ndarray  # (sum of H * W,) uint8; empty where the split has no masks
    starts: np.ndarray  # (N,) first pixel of each image
    deflated: np.ndarray  # bytes of the masks at their own size; empty where the split has none
    bounds: np.ndarray  # (N, 2) first byte and the one after the last, of each
    content_hashes: tuple[bytes, ...]  # of each image, as `content_hashes` makes them

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def has_masks(self) -> bool:
        return len(self.labels) > 0

    def image(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        height, width = self.sizes[index]
        first = 3 * self.starts[index]
        return self.pixels[first : first + 3 * height * width].reshape(height, width, 3)

    def mask(self, index: int) -> np.ndarray:
        """(H, W) uint8 labels."""
        height, width = self.sizes[index]
        first = self.starts[index]
        return self.labels[first : first + height * width].reshape(height, width)

    def original_mask(self, index: int) -> np.ndarray:
        """(H, W) uint8 labels at the image's own size. Raises RunError: the cache was damaged since."""
        height, width = self.original_sizes[index]
        first, end = self.bounds[index]
        try:
            labels = zlib.decompressobj().decompress(self.deflated[first:end].tobytes(), height * width)
            return np.frombuffer(labels, np.uint8).reshape(height, width).copy()
        except (zlib.error, ValueError) as error:
            raise RunError(f"{self.folder} was damaged: remove it and run again") from error

    @property
    def fingerprint(self) -> str:
        """Hex hash of the bytes of every image and mask, and of their order."""
        return fingerprint(self.content_hashes)

    def release_pages(self) -> None:
        """Give the mapped pages back to the system, which keeps them while it has room; views stay good."""
        for array in (self.pixels, self.labels, self.deflated):
            if isinstance(array.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                array.base.madvise(mmap.MADV_DONTNEED)

    def part(self, indices: Sequence[int]) -> "CachedSplit":
        """These images alone, in this order; nothing is copied."""
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
    """VOCCTL_CACHE, else the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("VOCCTL_CACHE") or Path(home) / "vocctl")


def resize_to_model(image: np.ndarray, size: int) -> np.ndarray:
    """(H, W, 3) uint8 as a model of this size sees it: averaged down, or interpolated up."""
    fitted = model_input_size(image.shape[0], image.shape[1], size)
    how = cv2.INTER_AREA if fitted[0] < image.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(image, fitted[::-1], interpolation=how)


def content_hashes(source: Source, ids: Sequence[str]) -> tuple[bytes, ...]:
    """A hash of each image listed: of its id, and of the bytes of image and mask. Raises DataError naming the file."""
    with ThreadPoolExecutor() as pool:  # reading and hashing let other threads run
        return tuple(pool.map(partial(_content_hash, source), ids))


def _content_hash(source: Source, image_id: str) -> bytes:
    held = hashlib.blake2b(image_id.encode(), digest_size=16)
    for path in (source.image_path(image_id), source.mask_path(image_id)):
        if path is not None:
            try:
                check_regular_file(path)
                held.update(hashlib.blake2b(path.read_bytes()).digest())
            except OSError as error:
                raise DataError(
                    f"{path} can't be read: {error.strerror}; `vocctl download --check` lists all"
                ) from error
    return held.digest()


def fingerprint(content_hashes: Sequence[bytes]) -> str:
    """Hex hash of these digests and their order."""
    return hashlib.blake2b(b"".join(content_hashes), digest_size=16).hexdigest()


def cached_split(
    source: Source,
    split: str,
    size: int,
    cache_dir: Path | None = None,
    on_image: Callable[[int, int], None] | None = None,
) -> CachedSplit:
    """The split at this size, from the cache or decoded into it. on_image(done, total) while decoding.

    Raises DataError: a image or mask is missing, broken, or the two differ in size. RunError: no space left.
    """
    ids = source.ids(split)
    of_images = content_hashes(source, ids)
    key = hashlib.blake2b(f"{VERSION}/{size}/{fingerprint(of_images)}".encode(), digest_size=16).hexdigest()
    folder = (cache_dir or default_cache_dir()) / f"{source.name}-{split}-{size}-{key}"
    if (cached := _opened(folder, of_images)) is not None:
        return cached
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder.parent)
        part = Path(tempfile.mkdtemp(prefix=folder.name + ".part-", dir=folder.parent))
        try:
            _decode(source, ids, size, part, on_image)
            _put_in_place(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise RunError(
            f"{folder.parent} can't hold the decoded images: {error.strerror}; free space or set --cache-dir"
        ) from error
    cached = _opened(folder, of_images)
    if cached is None:
        raise RunError(f"{folder} was damaged while it was built: remove it and run again")
    return cached


def _remove_abandoned(cache_dir: Path) -> None:
    """What builds that were killed more than a day ago left; another process may put its own in place meanwhile."""
    for part in cache_dir.glob("*.part-*"):
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > 86400:
                shutil.rmtree(part, ignore_errors=True)


def _put_in_place(part: Path, folder: Path) -> None:
    """Rename, unless another process was first; what was cut short goes."""
    if folder.exists() and _opened(folder) is None:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        part.rename(folder)
    except OSError:
        if _opened(folder) is None:
            raise


def _decode(source: Source, ids: list[str], size: int, part: Path, on_image: Callable[[int, int], None] | None) -> None:
    sizes, original_sizes, lengths = [], [], []
    with (
        (part / "images.bin").open("wb") as images,
        (part / "masks.bin").open("wb") as masks,
        (part / "own_masks.bin").open("wb") as original_masks,
    ):
        for done, image_id in enumerate(ids, start=1):
            image = source.image(image_id)
            seen = resize_to_model(image, size)
            fitted = seen.shape[:2]
            original_sizes.append(image.shape[:2])
            sizes.append(fitted)
            images.write(seen.tobytes())
            if source.mask_path(image_id) is not None:
                mask = source.mask(image_id)
                if mask.shape != image.shape[:2]:
                    raise DataError(
                        f"{source.mask_path(image_id)} is {mask.shape[1]} x {mask.shape[0]}, its image "
                        f"{image.shape[1]} x {image.shape[0]}: a mask has its image's size, replace it"
                    )
                masks.write(cv2.resize(mask, fitted[::-1], interpolation=cv2.INTER_NEAREST_EXACT).tobytes())
                lengths.append(original_masks.write(zlib.compress(mask.tobytes(), level=1)))
            if on_image:
                on_image(done, len(ids))
    about = {"ids": ids, "sizes": sizes, "own_sizes": original_sizes, "own_masks": lengths}
    (part / "index.json").write_text(json.dumps(about), encoding="utf-8")


def _opened(folder: Path, of_images: tuple[bytes, ...] = ()) -> CachedSplit | None:
    """The cache in folder; None where there is none or its files are not as long as its index says."""
    try:
        about = read_json(folder / "index.json")
        sizes = tuple((int(height), int(width)) for height, width in about["sizes"])
        original_sizes = tuple((int(height), int(width)) for height, width in about["own_sizes"])
        ends = np.cumsum([height * width for height, width in sizes])
        lengths = np.array(about["own_masks"], np.int64)
        pixels, labels, deflated = (_mapped(folder / name) for name in ("images.bin", "masks.bin", "own_masks.bin"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if len(pixels) != 3 * ends[-1] or len(labels) not in (0, ends[-1]):
        return None
    if len(deflated) != lengths.sum() or len(lengths) != (len(sizes) if len(labels) else 0):
        return None
    bounds = np.stack([np.cumsum(lengths) - lengths, np.cumsum(lengths)], axis=1)
    starts = np.append(0, ends[:-1])
    return CachedSplit(
        folder, tuple(about["ids"]), sizes, original_sizes, pixels, labels, starts, deflated, bounds, of_images
    )


def _mapped(path: Path) -> np.ndarray:
    return np.memmap(path, np.uint8, "r") if path.stat().st_size else np.empty(0, np.uint8)
