"""Write images with their truth as a devkit of their own, which every command reads as `--data`.

Images are PNGs: nothing of them is lost. The folder is whole or not there.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vocctl.data.images import write_mask
from vocctl.errors import RunError
from vocctl.labels import CLASSES, IGNORE

IN_LIST = {1: " 1", 0: "-1", IGNORE: " 0"}
MANIFEST = "manifest.json"  # by which images that were attacked are known


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
    """root with JPEGImages, and masks or class lists of one split. Raises RunError: it can't be written.

    images: (H, W, 3) uint8; masks: (H, W) uint8; targets: (N, 20), 1, 0 or IGNORE; manifest: what the images are.
    """
    part = root.with_name(root.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation", "ImageSets/Main"):
            (part / folder).mkdir(parents=True)
        for place, image_id in enumerate(ids):
            Image.fromarray(images[place]).save(part / "JPEGImages" / f"{image_id}.png", compress_level=1)
            if len(masks):
                write_mask(part / "SegmentationClass" / f"{image_id}.png", masks[place])
        lists = part / "ImageSets"
        (lists / ("Segmentation" if len(masks) else "Main") / f"{split}.txt").write_text("\n".join(ids) + "\n")
        if targets is not None:
            for column, name in enumerate(CLASSES):
                rows = [f"{image_id} {IN_LIST[int(row[column])]}\n" for image_id, row in zip(ids, targets, strict=True)]
                (lists / "Main" / f"{name}_{split}.txt").write_text("".join(rows))
        if manifest is not None:
            (part / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        shutil.rmtree(root, ignore_errors=True)
        part.rename(root)
    except OSError as error:
        raise RunError(f"{root} can't be written: {error.strerror}; free space or choose another folder") from error
    return root
