"""Whether two files show the same image, whatever their names and formats.

A image is known by its size and the mean colors of an 8 x 8 grid over it. Decoders differ by a gray level or two, so the
grids of one image may; those of two images of one size differ by far more somewhere.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vocctl.data.source import Source

GRID = 8
TOLERANCE = 3.0  # gray levels of 255, in any cell and channel


@dataclass(frozen=True)
class ImageFingerprint:
    size: tuple[int, int]
    colors: np.ndarray  # (GRID * GRID * 3,) float32


def image_fingerprint(image: np.ndarray) -> ImageFingerprint:
    """image: (H, W, 3) uint8."""
    small = cv2.resize(image.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    return ImageFingerprint((image.shape[0], image.shape[1]), small.ravel())


def image_fingerprints(
    source: Source, ids: Sequence[str], on_image: Callable[[int, int], None] | None = None
) -> list[ImageFingerprint]:
    """Of each image, in order. Raises DataError: missing or broken."""
    found = []
    for image_id in ids:
        found.append(image_fingerprint(source.image(image_id)))
        if on_image:
            on_image(len(found), len(ids))
    return found


def match_images(first: Sequence[ImageFingerprint], second: Sequence[ImageFingerprint]) -> list[int | None]:
    """For each of first, the place of the same image in second; the nearest of several."""
    by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, one in enumerate(second):
        by_size[one.size].append(place)
    stacked = {size: np.stack([second[place].colors for place in places]) for size, places in by_size.items()}
    found: list[int | None] = []
    for one in first:
        nearest = None
        if one.size in stacked:
            apart = np.abs(stacked[one.size] - one.colors).max(axis=1)
            best = int(apart.argmin())
            nearest = by_size[one.size][best] if apart[best] <= TOLERANCE else None
        found.append(nearest)
    return found
