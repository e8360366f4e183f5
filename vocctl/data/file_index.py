"""Find the files of a folder by their stem, whatever the case of their names: cameras and other tools write .JPG and .jpeg.

A folder is listed once, because a look-up on the disk for each image and ending is slow on network drives.
"""

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from vocctl.errors import DataError

JPEG_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo")
LOSSY_ENDINGS = (*JPEG_ENDINGS, ".webp", ".jp2", ".j2k", ".jpx", ".avif", ".avifs")  # a mask does not survive them
IMAGE_ENDINGS = (
    *LOSSY_ENDINGS,
    ".png",
    ".apng",
    ".bmp",
    ".dib",
    ".gif",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
    ".pbm",
    ".pnm",
)
RAW_ENDINGS = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf")  # of cameras
UNREAD_ENDINGS = (".heic", ".heif", ".hif", ".jxl", *RAW_ENDINGS)  # images, but not ones that images.py reads


class FileIndex(Mapping[str, Sequence[str]]):
    """Stem -> names of the files with this stem, sorted.

    A stem that no file has exactly stands for the only one that differs in case or in how Unicode writes its accents: names
    change so on their way between Windows, macOS, Linux and archives. Several of them: the stem is not found.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names: dict[str, list[str]] = {}
        for name in sorted(names):
            self._names.setdefault(os.path.splitext(name)[0], []).append(name)
        self._stems: dict[str, list[str]] = {}
        for stem in self._names:
            self._stems.setdefault(_folded(stem), []).append(stem)

    def __getitem__(self, stem: str) -> Sequence[str]:
        return self._names[self.own_stem(stem)]

    def own_stem(self, stem: str) -> str:
        """The stem as the files have it; as it is given if no file has it."""
        if stem in self._names:
            return stem
        stems = self._stems.get(_folded(stem), [])
        return stems[0] if len(stems) == 1 else stem

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _folded(stem: str) -> str:
    return unicodedata.normalize("NFC", stem).casefold()


def files_by_stem(folder: Path, endings: tuple[str, ...]) -> FileIndex:
    """Index the files of a folder with these endings (lower case), without hidden ones. No such folder: an empty index."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return FileIndex(())
    # macOS writes ._x.jpg beside x.jpg on some drives
    return FileIndex(name for name in names if name.lower().endswith(endings) and not name.startswith("."))


def only_file(folder: Path, names: Sequence[str]) -> Path:
    """The path of the only name. Raises DataError: there are several, and nothing says which of them is meant."""
    if len(names) > 1:
        raise DataError(f"{folder} has {' and '.join(names)}: an id stands for one file, remove the others")
    return folder / names[0]
