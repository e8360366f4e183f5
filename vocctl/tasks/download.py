"""Bringing a data set into a folder: VOC's archives from 2007 to 2012, the drawn shapes, or the competition's data.

The competition's comes from Kaggle, or is built from a VOC tree; either way every file of it is read once.

What is there already, whole, is left as it is. An archive that we fetched lies beside the folder until it is unpacked;
one that the user brought is never deleted.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vocctl.config import closest
from vocctl.data.archive import OnBytes, check_md5, fetch, unpack
from vocctl.data.releases import RELEASES, Release, check_release
from vocctl.data.source import open_dataset
from vocctl.errors import ConfigError, DataError

SHAPES = {"train": 600, "val": 200}  # images that are drawn


@dataclass(frozen=True, kw_only=True)
class DownloadProgress:
    """What to call on the way; each with what is done so far, and how much it is in all (None: not known)."""

    on_fetch: OnBytes | None = None  # bytes
    on_unpack: OnBytes | None = None  # bytes of the archive
    on_image: OnBytes | None = None  # images drawn or written
    on_check: OnBytes | None = None  # images read and found sound


@dataclass(frozen=True)
class DownloadResult:
    root: Path
    splits: dict[str, int]  # images by split: "Main/train" of a VOC year, "train" of the shapes
    skipped: bool  # all was there already, nothing was done


def download(
    what: str,
    root: Path,
    *,
    urls: Sequence[str] = (),
    archive: Path | None = None,
    tree: Path | None = None,
    seed: int = 0,
    progress: DownloadProgress | None = None,
    releases: Mapping[str, Release] = RELEASES,
) -> DownloadResult:
    """The data set called what (voc2007 to voc2012, shapes, h02a5a or any slug of Kaggle's), whole in root.

    urls: tried in place of the release's own. archive: a file fetched by other means. tree: a VOC devkit that the
    competition's layout is built from. seed: of the shapes.
    Raises ConfigError (name, flags), DataError (the archive, or what root holds already), NetworkError (no address gave
    it) and RunError (disk).
    """
    progress = progress or DownloadProgress()
    if what not in (*releases, "shapes"):
        return _download_competition(what, root, urls, archive, tree, progress, (*releases, "shapes"))
    if tree is not None:
        raise ConfigError(f"--from builds the competition's data: `vocctl download h02a5a --from {tree}`")
    if urls and archive is not None:
        raise ConfigError("--url and --archive are mutually exclusive: leave out one of them")
    if what == "shapes":
        if urls or archive is not None:
            raise ConfigError("shapes are drawn, not fetched: leave out --url and --archive")
        return _draw(root, seed, progress)
    return _bring(releases[what], root, tuple(urls), archive, progress)


def _download_competition(
    what: str,
    root: Path,
    urls: Sequence[str],
    archive: Path | None,
    tree: Path | None,
    progress: DownloadProgress,
    data_sets: tuple[str, ...],
) -> DownloadResult:
    """The competition called what. data_sets: names that are not the competition's, for the message of a wrong name."""
    from vocctl.competition.download import build_mock_competition, check_competition, fetch_competition
    from vocctl.competition.editions import ALIAS, is_competition_name, known_num_images, resolve_slug

    if not is_competition_name(what):
        known = (*data_sets, ALIAS)
        raise ConfigError(f"no data set is called {what!r}{closest(what, known) or ':'} known are {', '.join(known)}")
    if urls:
        raise ConfigError("the competition's data come from Kaggle's client: leave out --url")
    if tree is not None and archive is not None:
        raise ConfigError("--from and --archive are mutually exclusive: leave out one of them")
    if archive is not None and not archive.is_file():
        raise DataError(f"{archive} is not a file: check --archive")
    slug = resolve_slug(what)
    if _holds_anything(root):
        expected = {} if tree is not None else known_num_images(slug)
        return DownloadResult(root, check_competition(root, expected, progress.on_check), skipped=True)
    if tree is not None:
        splits = build_mock_competition(root, tree, on_image=progress.on_image, on_check=progress.on_check)
    else:
        splits = fetch_competition(
            slug, root, archive=archive, on_fetch=progress.on_fetch, on_unpack=progress.on_unpack,
            on_check=progress.on_check,
        )  # fmt: skip
    return DownloadResult(root, splits, skipped=False)


def default_root(what: str) -> Path:
    """data/<what>; data/<slug> of a competition that is given as a URL. Raises ConfigError: a URL of something else."""
    if "/" not in what:
        return Path("data") / what
    from vocctl.competition.editions import resolve_slug

    return Path("data") / resolve_slug(what)


def known_data_sets() -> dict[str, str]:
    """What can be downloaded by name -> what it is."""
    from vocctl.competition.editions import ALIAS, EDITIONS

    years = {name: f"VOC {release.year}, {release.archive}" for name, release in RELEASES.items()}
    editions = {
        edition.slug: f"the competition of {year}{', ' + ALIAS if year == max(EDITIONS) else ''}"
        for year, edition in EDITIONS.items()
    }
    return years | {"shapes": "drawn here, no network"} | editions


def _holds_anything(root: Path) -> bool:
    if root.exists() and not root.is_dir():
        raise DataError(f"{root} is a file: choose another folder with --out")
    return root.is_dir() and any(not path.name.startswith(".") for path in root.iterdir())


def _bring(
    release: Release, root: Path, urls: tuple[str, ...], archive: Path | None, progress: DownloadProgress
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


def _draw(root: Path, seed: int, progress: DownloadProgress) -> DownloadResult:
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
        raise DataError(f"{root} holds other images than the shapes ({found}; {due} expected): {another}")
    return DownloadResult(root, splits, skipped=there)
