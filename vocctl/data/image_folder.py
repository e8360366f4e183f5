"""The images in a folder of the user and below it, and which of its files are left out."""

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vocctl.data.file_index import IMAGE_ENDINGS
from vocctl.errors import DataError


@dataclass(frozen=True)
class FolderImages:
    images: tuple[Path, ...]  # sorted
    skipped: str  # a note on the files that are not read; empty: there are none


def find_images(folder: Path, results: Collection[Path] = ()) -> FolderImages:
    """The files with endings of images. results: files that vocctl has written, which are left out.

    Hidden files and folders count as absent, and folders that are links are followed, each folder once.
    Raises DataError: a folder that cannot be read, or no image.
    """
    files = sorted(_visible_files(folder))
    new_files = [path for path in files if path not in results]
    images = tuple(path for path in new_files if path.suffix.lower() in IMAGE_ENDINGS)
    skipped = _note(new_files, num_results=len(files) - len(new_files))
    if not images:
        advice = f"{skipped}; save them as JPEG or PNG, or" if skipped else f"({', '.join(IMAGE_ENDINGS)}):"
        raise DataError(
            f"{folder} contains no image that can be read{':' * bool(skipped)} {advice} name another folder"
        )
    return FolderImages(images, skipped)


def _visible_files(folder: Path) -> Iterator[Path]:
    visited: set[str] = set()

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}): fix its permissions") from error

    for parent, folders, names in os.walk(folder, followlinks=True, onerror=refuse):
        real = os.path.realpath(parent)
        if real in visited:  # a link to a folder above would never end
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (path for name in names if not name.startswith(".") and (path := Path(parent, name)).is_file())


def _note(files: Sequence[Path], num_results: int) -> str:
    """How many of a folder's files are not read, and why. num_results: files that vocctl has written."""
    notes = []
    endings = [path.suffix.lower() for path in files if path.suffix.lower() not in IMAGE_ENDINGS]
    if endings:
        names = sorted({ending or "a file without a suffix" for ending in endings})
        count = f"{len(endings)} file{'s' * (len(endings) > 1)} skipped"
        notes.append(f"{count}: {', '.join(names)} {'is' if len(names) == 1 else 'are'} not read")
    if num_results:
        notes.append(f"{num_results} file{'s' * (num_results > 1)} skipped: results of earlier predictions")
    return "; ".join(notes)
