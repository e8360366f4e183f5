"""Find the files of a folder by their stem, whatever the case of their ending: cameras and other tools write .JPG and .jpeg.

A folder is listed once, because a look-up on the disk for each image and ending is slow on network drives.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from vocctl.errors import DataError

IMAGE_ENDINGS = (
    ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".avif"
)  # fmt: skip
JPEG_ENDINGS = (".jpg", ".jpeg")  # JPEG changes the values of pixels, which a mask does not survive

FileIndex = Mapping[str, Sequence[str]]  # stem -> names of the files with this stem, sorted


def files_by_stem(folder: Path, endings: tuple[str, ...]) -> FileIndex:
    """Index the files of a folder with these endings (lower case), without hidden ones. No such folder: an empty index."""
    index: dict[str, list[str]] = {}
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return index
    for name in names:
        stem, ending = os.path.splitext(name)
        if ending.lower() in endings and not name.startswith("."):  # macOS writes ._x.jpg beside x.jpg on some drives
            index.setdefault(stem, []).append(name)
    return index


def only_file(folder: Path, names: Sequence[str]) -> Path:
    """The path of the only name. Raises DataError: there are several, and nothing says which of them is meant."""
    if len(names) > 1:
        raise DataError(f"{folder} has {' and '.join(names)}: an id stands for one file, remove the others")
    return folder / names[0]
