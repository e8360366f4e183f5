"""Find the same image in two data sets, whatever its file name and format.

The fingerprint of an image is its size and the mean color of each cell of an 8 x 8 grid. JPEG decoders differ by one or two
of the 256 levels of a channel, so fingerprints are compared with a tolerance. Different images of the same size differ by
far more in at least one cell.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vocctl.data.source import Source

GRID = 8  # cells along each side
TOLERANCE = 3.0  # largest difference of a cell's mean, in any channel, on the scale 0..255


@dataclass(frozen=True)
class ImageFingerprint:
    size: tuple[int, int]  # (H, W)
    colors: np.ndarray  # (GRID * GRID * 3,) float32 in [0, 255]


def image_fingerprint(image: np.ndarray) -> ImageFingerprint:
    """Return the fingerprint of an image (H, W, 3) uint8."""
    grid = cv2.resize(image.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    return ImageFingerprint((image.shape[0], image.shape[1]), grid.ravel())


def image_fingerprints(
    source: Source, ids: Sequence[str], on_image: Callable[[int, int], None] | None = None
) -> list[ImageFingerprint]:
    """Return the fingerprint of each image. on_image: called with (done, total). Raises DataError: an image cannot be read."""
    fingerprints = []
    for image_id in ids:
        fingerprints.append(image_fingerprint(source.image(image_id)))
        if on_image:
            on_image(len(fingerprints), len(ids))
    return fingerprints


def match_images(queries: Sequence[ImageFingerprint], candidates: Sequence[ImageFingerprint]) -> list[int | None]:
    """Return, for each query, the index of the most similar candidate that shows the same image; None if there is none."""
    indices_by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, candidate in enumerate(candidates):
        indices_by_size[candidate.size].append(index)
    colors_by_size = {
        size: np.stack([candidates[index].colors for index in indices]) for size, indices in indices_by_size.items()
    }
    matches: list[int | None] = []
    for query in queries:
        match = None
        if query.size in colors_by_size:
            distances = np.abs(colors_by_size[query.size] - query.colors).max(axis=1)
            nearest = int(distances.argmin())
            match = indices_by_size[query.size][nearest] if distances[nearest] <= TOLERANCE else None
        matches.append(match)
    return matches
