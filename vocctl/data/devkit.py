"""Write images with their ground truth as a VOC devkit, which every command accepts as `--data`.

Images are stored as PNG, without loss. The folder is complete or absent.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vocctl.data.images import mask_png
from vocctl.errors import RunError
from vocctl.files import local_atomic_folder
from vocctl.labels import CLASSES, IGNORE

LIST_VALUE = {1: " 1", 0: "-1", IGNORE: " 0"}  # target -> value in a class list
MANIFEST = "manifest.json"  # present in data sets of adversarial images: which attack made them


def write_devkit(
    root: Path,
    split: str,
    ids: Sequence[str],
    images: Sequence[np.ndarray],
    *,
    masks: Sequence[np.ndarray] = (),
    targets: np.ndarray | None = None,
    manifest: dict[str, Any] | None = None,
) -> Path:
    """Write a data set of one split to root and return root. Raises RunError: root is not writable.

    images: (H, W, 3) uint8 each. masks: (H, W) uint8 each, or none. targets: (N, 20), 1, 0 or IGNORE. manifest: what the
    images are.
    """
    try:
        with local_atomic_folder(root) as part:
            for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation", "ImageSets/Main"):
                (part / folder).mkdir(parents=True)
            for image_id, image in zip(ids, images, strict=True):
                Image.fromarray(image).save(part / "JPEGImages" / f"{image_id}.png", compress_level=1)
            if len(masks):
                for image_id, mask in zip(ids, masks, strict=True):
                    (part / "SegmentationClass" / f"{image_id}.png").write_bytes(mask_png(mask))
            lists = part / "ImageSets"
            (lists / ("Segmentation" if len(masks) else "Main") / f"{split}.txt").write_text("\n".join(ids) + "\n")
            if targets is not None:
                write_class_lists(lists / "Main", split, ids, targets)
            if manifest is not None:
                (part / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    except OSError as error:
        raise RunError(f"{root} cannot be written: {error.strerror}; free space or choose another folder") from error
    return root


def write_class_lists(folder: Path, split: str, ids: Sequence[str], targets: np.ndarray) -> None:
    """Write the 20 lists of a split to ImageSets/Main. targets: (N, 20), 1, 0 or IGNORE."""
    for column, name in enumerate(CLASSES):
        lines = [f"{image_id} {LIST_VALUE[int(row[column])]}\n" for image_id, row in zip(ids, targets, strict=True)]
        (folder / f"{name}_{split}.txt").write_text("".join(lines), encoding="utf-8")
