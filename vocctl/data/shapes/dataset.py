"""Writes the drawn data set in the VOC devkit's layout, as VOCdevkit/VOC2009.

Image k is a function of seed and k only, so that a larger data set starts with the images of a smaller one. Each block
of twenty images has each of the twenty classes once as its main class, in random order. The folder appears under its
final name when it is complete.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from vocctl.data.shapes.annotation import annotation, presence
from vocctl.data.shapes.scene import Drawing, DrawnObject, draw_scene
from vocctl.errors import ConfigError, DataError, RunError
from vocctl.files import local_atomic_folder
from vocctl.labels import CLASSES, FLAT_PALETTE

JPEG_QUALITY = 92
MIN_IMAGES_FOR_PROCESSES = 100  # with fewer, starting processes takes longer than drawing
FOLDERS = (
    "JPEGImages",
    "SegmentationClass",
    "SegmentationObject",
    "Annotations",
    "ImageSets/Segmentation",
    "ImageSets/Main",
)


def draw_dataset(
    root: Path, *, seed: int = 0, train: int = 600, val: int = 200, on_image: Callable[[int, int], None] | None = None
) -> None:
    """Draw train + val images under root. on_image(done, total) is called after each.

    Raises DataError: root exists; ConfigError: a negative seed or an empty split; RunError: no space left.
    """
    if seed < 0 or train < 1 or val < 1:
        raise ConfigError(f"seed must be 0 or more, train and val 1 or more, got {seed}, {train} and {val}")
    root = Path(root)
    if root.exists() or root.is_symlink():
        raise DataError(f"{root} exists: choose a new folder, or delete that one to draw it again")
    try:
        with local_atomic_folder(root) as part:
            devkit = part / "VOCdevkit" / "VOC2009"
            for folder in FOLDERS:
                (devkit / folder).mkdir(parents=True)
            drawn = _draw_all(devkit, seed, train + val, on_image)
            names = list(drawn)
            for split, members in (("train", names[:train]), ("val", names[train:]), ("trainval", names)):
                _write_lists(devkit, split, {name: drawn[name] for name in members})
    except OSError as error:
        raise RunError(f"{root} cannot be written: {error.strerror}; free space or choose another folder") from error


def _draw_all(
    devkit: Path, seed: int, total: int, on_image: Callable[[int, int], None] | None
) -> dict[str, tuple[DrawnObject, ...]]:
    """Write all images, with one process per core. Returns the objects by the image's name, in order."""
    drawn: dict[str, tuple[DrawnObject, ...]] = {}
    draw = partial(_draw_and_write, devkit, seed)
    with ExitStack() as stack:
        if total < MIN_IMAGES_FOR_PROCESSES:
            images: Iterable[tuple[str, tuple[DrawnObject, ...]]] = map(draw, range(total))
        else:
            images = stack.enter_context(ProcessPoolExecutor(mp_context=get_context("spawn"))).map(
                draw, range(total), chunksize=10
            )
        for name, objects in images:
            drawn[name] = objects
            if on_image is not None:
                on_image(len(drawn), total)
    return drawn


def _draw_and_write(devkit: Path, seed: int, k: int) -> tuple[str, tuple[DrawnObject, ...]]:
    name = f"shapes_{k + 1:06d}"
    drawing = draw_image(seed, k)
    _write_image(devkit, name, drawing)
    return name, drawing.objects


def draw_image(seed: int, k: int) -> Drawing:
    """Image k, counted from 0, of the data set of this seed."""
    block, index = divmod(k, len(CLASSES))
    main = np.random.default_rng([seed, 0, block]).permutation(len(CLASSES))[index]
    return draw_scene(CLASSES[main], np.random.default_rng([seed, 1, k]))


def _write_image(devkit: Path, name: str, drawing: Drawing) -> None:
    success, jpeg = cv2.imencode(".jpg", drawing.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not success:
        raise DataError(f"{name} could not be written as JPEG: install opencv-python-headless again")
    (devkit / "JPEGImages" / f"{name}.jpg").write_bytes(jpeg.tobytes())
    for folder, mask in (("SegmentationClass", drawing.labels), ("SegmentationObject", drawing.instances)):
        indexed = Image.fromarray(mask)
        indexed.putpalette(FLAT_PALETTE)  # changes the mode from L to P
        indexed.save(devkit / folder / f"{name}.png")
    text = annotation(name, drawing.labels.shape, drawing.objects)
    (devkit / "Annotations" / f"{name}.xml").write_text(text, encoding="utf-8")


def _write_lists(devkit: Path, split: str, drawn: dict[str, tuple[DrawnObject, ...]]) -> None:
    ids = "".join(f"{name}\n" for name in drawn)
    for folder in ("Segmentation", "Main"):
        (devkit / "ImageSets" / folder / f"{split}.txt").write_text(ids, encoding="utf-8")
    for class_name in CLASSES:
        rows = "".join(f"{name} {presence(class_name, objects):2d}\n" for name, objects in drawn.items())
        (devkit / "ImageSets" / "Main" / f"{class_name}_{split}.txt").write_text(rows, encoding="utf-8")
