"""Run lengths of 750 masks: directly from the label maps, compared with the 20-plane stack in vectorized numpy.

    python tests/benchmarks/run_lengths.py [DEVKIT]

The masks are 375 x 500: those of the devkit's Segmentation lists, resized with nearest neighbor and repeated; without a
devkit, one to three random ellipses. Both ways give the same text, which is asserted. Printed: the best of three runs.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from vocctl.competition.rle import encode_label_map
from vocctl.data.source import open_dataset

MASKS, HEIGHT, WIDTH = 750, 375, 500


def from_stack(labels: np.ndarray) -> str:
    """The usual implementation: the flattened, padded boolean stack, and its edges by one difference."""
    stack = labels[None] == np.arange(1, 21, dtype=np.uint8)[:, None, None]
    flat = np.concatenate([[False], stack.ravel(), [False]])
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges[1::2] -= edges[::2]
    return " ".join(map(str, edges.tolist()))


def masks_of_devkit(devkit: Path) -> list[np.ndarray]:
    source = open_dataset(devkit)
    masks = [source.mask(image_id) for split in source.splits() for image_id in source.ids(split)]
    resized = [cv2.resize(mask, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST) for mask in masks[:MASKS]]
    return [
        np.where(resized[number % len(resized)] == 255, 0, resized[number % len(resized)]) for number in range(MASKS)
    ]


def random_ellipses() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    masks = []
    for _ in range(MASKS):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        for _ in range(int(generator.integers(1, 4))):
            center = (int(generator.integers(WIDTH)), int(generator.integers(HEIGHT)))
            axes = (int(generator.integers(20, 200)), int(generator.integers(20, 200)))
            label = int(generator.integers(1, 21))
            cv2.ellipse(mask, center, axes, float(generator.integers(180)), 0, 360, label, -1)
        masks.append(mask)
    return masks


def time_encoding(encode: Callable[[np.ndarray], str], masks: list[np.ndarray]) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        for mask in masks:
            encode(mask)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    masks = masks_of_devkit(Path(sys.argv[1])) if len(sys.argv) > 1 else random_ellipses()
    assert all(str(encode_label_map(mask)) == from_stack(mask) for mask in masks)
    ours, stack = time_encoding(lambda mask: str(encode_label_map(mask)), masks), time_encoding(from_stack, masks)
    origin = sys.argv[1] if len(sys.argv) > 1 else "random ellipses"
    print(f"{MASKS} masks of {HEIGHT} x {WIDTH} ({origin})")
    print(f"{ours:.2f} s from label maps, {stack:.2f} s by the stack, {stack / ours:.1f} times as fast")


if __name__ == "__main__":
    main()
