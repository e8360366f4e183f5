"""Bringing a data set into a folder: VOC's archives from 2007 to 2012, or the drawn shapes.

What is there already, whole, is left as it is. An archive that we fetched lies beside the folder until it is unpacked;
one that the user brought is never deleted.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vocctl.config import closest
from vocctl.data.archive import OnBytes, check_md5, fetch, unpack
from vocctl.data.source import open_dataset
from vocctl.data.years import RELEASES, Release, check_release
from vocctl.errors import ConfigError, DataError

SHAPES = {"train": 600, "val": 200}  # photos that are drawn


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What to call on the way; each with what is done so far, and how much it is in all (None: not known)."""

    on_fetch: OnBytes | None = None  # bytes
    on_unpack: OnBytes | None = None  # bytes of the archive
    on_image: OnBytes | None = None  # photos drawn


@dataclass(frozen=True)
class DownloadResult:
    root: Path
    splits: dict[str, int]  # photos by split: "Main/train" of a VOC year, "train" of the shapes
    skipped: bool  # all was there already, nothing was done


def download(
    what: str,
    root: Path,
    *,
    urls: Sequence[str] = (),
    archive: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    releases: Mapping[str, Release] = RELEASES,
) -> DownloadResult:
    """The data set called what (voc2007 to voc2012, shapes), whole in root.

    urls: tried in place of the release's own. archive: a file fetched by other means. seed: of the shapes.
    Raises ConfigError (name, flags), DataError (the archive, or what root holds already), NetworkError (no address gave
    it) and RunError (disk).
    """
    known = (*releases, "shapes")
    if what not in known:
        raise ConfigError(f"no data set is called {what!r}{closest(what, known) or ':'} known are {', '.join(known)}")
    if urls and archive is not None:
        raise ConfigError("--url and --archive exclude each other: leave out one of the two")
    progress = progress or Progress()
    if what == "shapes":
        if urls or archive is not None:
            raise ConfigError("shapes are drawn, not fetched: leave out --url and --archive")
        return _draw(root, seed, progress)
    return _bring(releases[what], root, tuple(urls), archive, progress)


def _holds_anything(root: Path) -> bool:
    if root.exists() and not root.is_dir():
        raise DataError(f"{root} is a file: choose another folder with --out")
    return root.is_dir() and any(not path.name.startswith(".") for path in root.iterdir())


def _bring(
    release: Release, root: Path, urls: tuple[str, ...], archive: Path | None, progress: Progress
) -> DownloadResult:
    if _holds_anything(root):
        return DownloadResult(root, check_release(root, release), skipped=True)
    if archive is not None:
        check_md5(archive, release.md5)
        unpack(archive, root, on_bytes=progress.on_unpack)
    else:
        fetched = Path(os.path.abspath(root)).parent / f"{release.name}.tar"
        fetch(urls or release.urls, fetched, md5=release.md5, on_bytes=progress.on_fetch)
        unpack(fetched, root, on_bytes=progress.on_unpack)
        fetched.unlink()
    return DownloadResult(root, check_release(root, release), skipped=False)


def _draw(root: Path, seed: int, progress: Progress) -> DownloadResult:
    there = _holds_anything(root)
    if not there:
        from vocctl.data.shapes import draw_dataset

        draw_dataset(root, seed=seed, train=SHAPES["train"], val=SHAPES["val"], on_image=progress.on_image)
    another = f"choose another folder with --out, or delete {root}"
    try:
        source = open_dataset(root)
        splits = {split: len(source.ids(split)) for split in SHAPES}
    except DataError as error:
        raise DataError(f"{root} holds something else than the shapes: {another}") from error
    if splits != SHAPES:
        found = ", ".join(f"{split} {size}" for split, size in splits.items())
        due = ", ".join(f"{split} {size}" for split, size in SHAPES.items())
        raise DataError(f"{root} holds other photos than the shapes ({found}; {due} expected): {another}")
    return DownloadResult(root, splits, skipped=there)
