"""Whether two files show the same photo, whatever their names and formats.

A photo is known by its size and the mean colours of an 8 x 8 grid over it. Decoders differ by a grey level or two, so the
grids of one photo may; those of two photos of one size differ by far more somewhere.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vocctl.data.source import Source

GRID = 8
TOLERANCE = 3.0  # grey levels of 255, in any cell and channel


@dataclass(frozen=True)
class Sketch:
    size: tuple[int, int]
    colours: np.ndarray  # (GRID * GRID * 3,) float32


def sketch(image: np.ndarray) -> Sketch:
    """image: (H, W, 3) uint8."""
    small = cv2.resize(image.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    return Sketch((image.shape[0], image.shape[1]), small.ravel())


def sketches(source: Source, ids: Sequence[str], on_photo: Callable[[int, int], None] | None = None) -> list[Sketch]:
    """Of each photo, in order. Raises DataError: missing or broken."""
    found = []
    for image_id in ids:
        found.append(sketch(source.image(image_id)))
        if on_photo:
            on_photo(len(found), len(ids))
    return found


def same_photos(first: Sequence[Sketch], second: Sequence[Sketch]) -> list[int | None]:
    """For each of first, the place of the same photo in second; the nearest of several."""
    by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, one in enumerate(second):
        by_size[one.size].append(place)
    stacked = {size: np.stack([second[place].colours for place in places]) for size, places in by_size.items()}
    found: list[int | None] = []
    for one in first:
        nearest = None
        if one.size in stacked:
            apart = np.abs(stacked[one.size] - one.colours).max(axis=1)
            best = int(apart.argmin())
            nearest = by_size[one.size][best] if apart[best] <= TOLERANCE else None
        found.append(nearest)
    return found
