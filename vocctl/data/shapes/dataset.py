"""Writes the drawn data set in the VOC devkit's layout, as VOCdevkit/VOC2009.

Picture k is a function of (seed, k) alone, so a longer draw begins with the shorter one's pictures. Its main class comes
from a shuffle of the twenty that each block of twenty pictures makes anew: every class is the main one equally often.
Nothing lies under the final name before all is written.
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
WORTH_PROCESSES = 100  # pictures from which on starting processes pays
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
    """Draws train + val pictures under root. on_image(done, total) is called after each.

    Raises DataError: root is there already; ConfigError: a negative seed or an empty split; RunError: no space left.
    """
    if seed < 0 or train < 1 or val < 1:
        raise ConfigError(f"seed must be 0 or more, train and val 1 or more, got {seed}, {train} and {val}")
    root = Path(root)
    if root.exists() or root.is_symlink():
        raise DataError(f"{root} is there already: name a new folder, or delete that one to draw it again")
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
    """Every picture written, by as many processes as there are cores; the objects by the picture's name, in order."""
    drawn: dict[str, tuple[DrawnObject, ...]] = {}
    draw = partial(_draw_and_write, devkit, seed)
    with ExitStack() as stack:
        if total < WORTH_PROCESSES:
            pictures: Iterable[tuple[str, tuple[DrawnObject, ...]]] = map(draw, range(total))
        else:
            pictures = stack.enter_context(ProcessPoolExecutor(mp_context=get_context("spawn"))).map(
                draw, range(total), chunksize=10
            )
        for name, objects in pictures:
            drawn[name] = objects
            if on_image is not None:
                on_image(len(drawn), total)
    return drawn


def _draw_and_write(devkit: Path, seed: int, k: int) -> tuple[str, tuple[DrawnObject, ...]]:
    name = f"shapes_{k + 1:06d}"
    picture = draw_picture(seed, k)
    _write_picture(devkit, name, picture)
    return name, picture.objects


def draw_picture(seed: int, k: int) -> Drawing:
    """Picture k, counted from 0, of the data set of this seed."""
    block, place = divmod(k, len(CLASSES))
    main = np.random.default_rng([seed, 0, block]).permutation(len(CLASSES))[place]
    return draw_scene(CLASSES[main], np.random.default_rng([seed, 1, k]))


def _write_picture(devkit: Path, name: str, picture: Drawing) -> None:
    done, jpeg = cv2.imencode(".jpg", picture.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise DataError(f"{name} could not be written as JPEG: install opencv-python-headless anew")
    (devkit / "JPEGImages" / f"{name}.jpg").write_bytes(jpeg.tobytes())
    for folder, mask in (("SegmentationClass", picture.labels), ("SegmentationObject", picture.numbers)):
        indexed = Image.fromarray(mask)
        indexed.putpalette(FLAT_PALETTE)  # turns the mode from L to P
        indexed.save(devkit / folder / f"{name}.png")
    text = annotation(name, picture.labels.shape, picture.objects)
    (devkit / "Annotations" / f"{name}.xml").write_text(text, encoding="utf-8")


def _write_lists(devkit: Path, split: str, drawn: dict[str, tuple[DrawnObject, ...]]) -> None:
    ids = "".join(f"{name}\n" for name in drawn)
    for folder in ("Segmentation", "Main"):
        (devkit / "ImageSets" / folder / f"{split}.txt").write_text(ids, encoding="utf-8")
    for class_name in CLASSES:
        rows = "".join(f"{name} {presence(class_name, objects):2d}\n" for name, objects in drawn.items())
        (devkit / "ImageSets" / "Main" / f"{class_name}_{split}.txt").write_text(rows, encoding="utf-8")
