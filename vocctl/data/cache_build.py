"""Decode and resize a split once, into a folder of the cache.

The folder's name contains a hash of the files' bytes, of the input size, of VERSION and of READER_VERSION: a changed image
or mask gets a new folder, and so do changed rules of reading. Processes that need the same folder, those of a distributed
run too, wait on a file lock while one of them builds it.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vocctl.data.cache import (
    IMAGES,
    INDEX,
    MASKS,
    ORIGINAL_MASKS,
    CachedSplit,
    default_cache_dir,
    fingerprint,
    open_cache,
)
from vocctl.data.cache_folder import open_or_build
from vocctl.data.images import READER_VERSION, size_mismatch
from vocctl.data.resize import disable_opencv_threads, resize_mask, resize_to_model
from vocctl.data.source import Source
from vocctl.errors import DataError
from vocctl.files import check_regular_file

VERSION = 5  # of the files' format and of the resize

OnImage = Callable[[int, int], None]  # called with (images done, all images)


class ImageFiles(NamedTuple):
    image_id: str
    image: Path
    mask: Path | None  # None: the image has no mask, or it is not read


def cached_split(
    source: Source,
    split: str,
    size: int,
    cache_dir: Path | None = None,
    on_image: OnImage | None = None,
    *,
    for_classification: bool = False,
) -> CachedSplit:
    """A split decoded for models of this input size; built in cache_dir unless it is there.

    for_classification: the images are those with class labels, and masks are not read.
    Raises DataError: an image or mask is missing, corrupt, or the two differ in size. RunError: cache_dir is not writable.
    """
    files = split_contents(source, split, for_classification=for_classification)
    hashes = content_hashes(files)
    content = f"{VERSION}/{READER_VERSION}/{size}/{fingerprint(hashes)}"
    key = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
    folder = (cache_dir or default_cache_dir()) / f"{source.name}-{split}-{size}-{key}"
    return open_or_build(
        folder,
        lambda complete: open_cache(complete, hashes),
        lambda empty: _decode(source, files, size, empty, on_image),
        content="decoded images",
        advice="free space or set --cache-dir",
    )


def split_contents(source: Source, split: str, *, for_classification: bool = False) -> list[ImageFiles]:
    """The images of a split, in order. Raises DataError as Source does."""
    if for_classification:
        return [ImageFiles(image_id, source.image_path(image_id), None) for image_id in source.labels(split)]
    return [
        ImageFiles(image_id, source.image_path(image_id), source.mask_path(image_id)) for image_id in source.ids(split)
    ]


def content_hashes(files: Sequence[ImageFiles]) -> tuple[bytes, ...]:
    """For each image, a hash of its id and of its files' bytes. Raises DataError: a file cannot be read."""
    with ThreadPoolExecutor() as pool:  # reading and hashing release the GIL
        return tuple(pool.map(_content_hash, files))


def _content_hash(files: ImageFiles) -> bytes:
    content = hashlib.blake2b(files.image_id.encode(), digest_size=16)
    for path in (files.image, files.mask):
        if path is not None:
            try:
                check_regular_file(path)
                content.update(hashlib.blake2b(path.read_bytes()).digest())
            except OSError as error:
                raise DataError(
                    f"{path} cannot be read: {error.strerror}; `vocctl download --check` lists all such files"
                ) from error
    return content.digest()


def _decode(source: Source, files: Sequence[ImageFiles], size: int, folder: Path, on_image: OnImage | None) -> None:
    """Write the files of a cache into folder."""
    disable_opencv_threads()
    sizes, original_sizes, mask_lengths = [], [], []
    with (
        (folder / IMAGES).open("wb") as images,
        (folder / MASKS).open("wb") as masks,
        (folder / ORIGINAL_MASKS).open("wb") as original_masks,
    ):
        for done, (image_id, image_path, mask_path) in enumerate(files, start=1):
            image = source.image(image_id)
            resized = resize_to_model(image, size)
            original_sizes.append(image.shape[:2])
            sizes.append(resized.shape[:2])
            images.write(resized.tobytes())
            if mask_path is not None:
                mask = source.mask(image_id)
                check_mask_size(mask, mask_path, image, image_path)
                masks.write(resize_mask(mask, *resized.shape[:2]).tobytes())
                mask_lengths.append(original_masks.write(zlib.compress(mask.tobytes(), level=1)))
            if on_image:
                on_image(done, len(files))
    index = {
        "ids": [image.image_id for image in files],
        "sizes": sizes,
        "original_sizes": original_sizes,
        "mask_lengths": mask_lengths,
    }
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")


def check_mask_size(mask: np.ndarray, mask_path: Path, image: np.ndarray, image_path: Path) -> None:
    """Raise DataError if a mask (H, W) and its image (H, W, 3) differ in size."""
    if mask.shape != image.shape[:2]:
        raise DataError(f"{mask_path} {size_mismatch(mask, image.shape, image_path)}")
