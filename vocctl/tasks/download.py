"""Bring a data set into a folder: a VOC archive of 2007 to 2012, the generated shapes, or the competition's data.

VOC2007's test images and SBD are added to the folder of their VOC year. A folder that is complete already is left
unchanged. A downloaded archive is stored beside the folder until it is unpacked; an archive that the user has downloaded
is never deleted.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vocctl.config import did_you_mean
from vocctl.data.archive import OnProgress
from vocctl.data.fetch import check_md5, fetch
from vocctl.data.releases import RELEASES, SBD, Release, check_release
from vocctl.data.sbd import NUM_IMAGES, add_sbd
from vocctl.data.source import open_dataset
from vocctl.data.tar_archive import unpack_tar
from vocctl.data.voc import find_devkit
from vocctl.errors import ConfigError, DataError
from vocctl.files import merge_folder, temporary_folder

SHAPES_SIZES = {"train": 600, "val": 200}  # number of images that are generated


@dataclass(frozen=True, kw_only=True)
class DownloadProgress:
    """Functions to call with (done, total); total is None if unknown."""

    on_fetch: OnProgress | None = None  # bytes downloaded
    on_unpack: OnProgress | None = None  # bytes: of a tar those read, of a zip those unpacked
    on_image: OnProgress | None = None  # images or masks generated or written
    on_check: OnProgress | None = None  # images checked


@dataclass(frozen=True)
class DownloadResult:
    root: Path
    splits: dict[str, int]  # split -> number of images; "Main/train" of a VOC year, "train" of the shapes
    skipped: bool  # the data set was complete already
    note: str | None = None  # something unexpected that is not an error


def download(
    what: str,
    root: Path,
    *,
    urls: Sequence[str] = (),
    archive: Path | None = None,
    from_devkit: Path | None = None,
    seed: int = 0,
    progress: DownloadProgress | None = None,
    releases: Mapping[str, Release] = RELEASES,
) -> DownloadResult:
    """Make root a complete data set. what: voc2007 to voc2012, voc2007-test, sbd, shapes, h02a5a, or any
    Kaggle slug. For voc2007-test and sbd, root is the folder of VOC2007 or VOC2012.

    urls: used instead of the release's own. archive: a file that the user has downloaded. from_devkit: a VOC devkit to build
    the competition's folder from. seed: of the shapes.
    Raises ConfigError (name or flags), DataError (the archive, or what root already contains), NetworkError (no address
    provides the file) and RunError (the disk).
    """
    progress = progress or DownloadProgress()
    if what not in (*releases, "shapes"):
        return _download_competition(what, root, urls, archive, from_devkit, progress, (*releases, "shapes"))
    if from_devkit is not None:
        raise ConfigError(f"--from builds the competition's data: `vocctl download h02a5a --from {from_devkit}`")
    if urls and archive is not None:
        raise ConfigError("--url and --archive are mutually exclusive: leave out one of them")
    if what == "shapes":
        if urls or archive is not None:
            raise ConfigError("shapes are generated, not downloaded: leave out --url and --archive")
        return _generate_shapes(root, seed, progress)
    release = releases[what]
    if release.addition is not None:
        return _download_addition(release, releases[release.base], root, tuple(urls), archive, progress)
    return _download_release(release, root, tuple(urls), archive, progress)


def default_root(what: str) -> Path:
    """data/<what>; the year's folder for an addition; data/<slug> for a competition that is given as a URL.

    Raises ConfigError: a URL of something else.
    """
    if what in RELEASES:
        return Path("data") / RELEASES[what].base
    if "/" not in what:
        return Path("data") / what
    from vocctl.competition.editions import resolve_slug

    return Path("data") / resolve_slug(what)


def known_data_sets() -> dict[str, str]:
    """Name of each data set that can be downloaded -> its description."""
    from vocctl.competition.editions import ALIAS, EDITIONS

    years = {
        name: f"{'added to ' * (release.addition is not None)}VOC {release.year}, {release.archive}"
        for name, release in RELEASES.items()
    }
    editions = {
        edition.slug: f"the competition of {year}{', ' + ALIAS if year == max(EDITIONS) else ''}"
        for year, edition in EDITIONS.items()
    }
    return years | {"shapes": "generated on this machine, no network"} | editions


def _has_files(root: Path) -> bool:
    """Whether root has entries that are not hidden. Raises DataError: root is a file."""
    if root.exists() and not root.is_dir():
        raise DataError(f"{root} is a file: choose another folder with --out")
    return root.is_dir() and any(not path.name.startswith(".") for path in root.iterdir())


def _download_release(
    release: Release, root: Path, urls: tuple[str, ...], archive: Path | None, progress: DownloadProgress
) -> DownloadResult:
    if _has_files(root):
        return DownloadResult(root, check_release(root, release), skipped=True)
    with _archive_file(release, root, urls, archive, progress) as path:
        unpack_tar(path, root, on_progress=progress.on_unpack)
    return DownloadResult(root, check_release(root, release), skipped=False)


def _download_addition(
    release: Release, base: Release, root: Path, urls: tuple[str, ...], archive: Path | None, progress: DownloadProgress
) -> DownloadResult:
    """Add to the folder that has the base. An addition that was interrupted is made complete."""
    if not _has_files(root):
        first = f"run `vocctl download {base.name} --out {root}` first, or give its folder as --out"
        raise DataError(f"{root} does not have {base.name}, to which {release.name} is added: {first}")
    check_release(root, base)
    try:
        return DownloadResult(root, check_release(root, release), skipped=True)
    except DataError:
        devkit = find_devkit(root)
    with _archive_file(release, root, urls, archive, progress) as path:
        if release.name == SBD.name:
            add_sbd(devkit, path, on_unpack=progress.on_unpack, on_image=progress.on_image)
        else:
            with temporary_folder(devkit) as folder:
                unpack_tar(path, folder / "archive", on_progress=progress.on_unpack)
                merge_folder(find_devkit(folder / "archive"), devkit)
    splits = check_release(root, release)
    size, note = splits.get("Segmentation/trainaug", NUM_IMAGES), None
    if size != NUM_IMAGES:
        note = f"trainaug has {size} images, in the literature {NUM_IMAGES}: scores are not comparable"
    return DownloadResult(root, splits, skipped=False, note=note)


@contextmanager
def _archive_file(
    release: Release, root: Path, urls: tuple[str, ...], archive: Path | None, progress: DownloadProgress
) -> Iterator[Path]:
    """The release's archive, verified. One that was downloaded is deleted when the block succeeds."""
    if archive is not None:
        check_md5(archive, release.md5)
        yield archive
        return
    downloaded = Path(os.path.abspath(root)).parent / f"{release.name}{Path(release.archive).suffix}"
    fetch(urls or release.urls, downloaded, md5=release.md5, on_progress=progress.on_fetch)
    yield downloaded
    downloaded.unlink()


def _generate_shapes(root: Path, seed: int, progress: DownloadProgress) -> DownloadResult:
    exists = _has_files(root)
    if not exists:
        from vocctl.data.shapes import draw_dataset

        draw_dataset(root, seed=seed, train=SHAPES_SIZES["train"], val=SHAPES_SIZES["val"], on_image=progress.on_image)
    advice = f"choose another folder with --out, or delete {root}"
    try:
        source = open_dataset(root)
        sizes = {split: len(source.ids(split)) for split in SHAPES_SIZES}
    except DataError as error:
        raise DataError(f"{root} contains something else than the shapes: {advice}") from error
    if sizes != SHAPES_SIZES:
        actual, expected = (
            ", ".join(f"{split} {size}" for split, size in counts.items()) for counts in (sizes, SHAPES_SIZES)
        )
        raise DataError(f"{root} contains other images than the shapes ({actual}; expected {expected}): {advice}")
    return DownloadResult(root, sizes, skipped=exists)


def _download_competition(
    what: str,
    root: Path,
    urls: Sequence[str],
    archive: Path | None,
    from_devkit: Path | None,
    progress: DownloadProgress,
    data_sets: tuple[str, ...],
) -> DownloadResult:
    """data_sets: the names of data sets that are not a competition, for the message about an unknown name."""
    from vocctl.competition.download import build_mock_competition, check_competition, fetch_competition
    from vocctl.competition.editions import ALIAS, is_competition_name, known_num_images, resolve_slug

    if not is_competition_name(what):
        known = (*data_sets, ALIAS)
        raise ConfigError(
            f"there is no data set {what!r}{did_you_mean(what, known) or ':'} known are {', '.join(known)}"
        )
    if urls:
        raise ConfigError("the competition's data come from Kaggle's client: leave out --url")
    if from_devkit is not None and archive is not None:
        raise ConfigError("--from and --archive are mutually exclusive: leave out one of them")
    if archive is not None and not archive.is_file():
        raise DataError(f"{archive} is not a file: fix --archive")
    slug = resolve_slug(what)
    if _has_files(root):
        expected = {} if from_devkit is not None else known_num_images(slug)
        return DownloadResult(root, check_competition(root, expected, progress.on_check), skipped=True)
    if from_devkit is not None:
        splits = build_mock_competition(root, from_devkit, on_image=progress.on_image, on_check=progress.on_check)
    else:
        splits = fetch_competition(
            slug, root, archive=archive, on_fetch=progress.on_fetch, on_unpack=progress.on_unpack,
            on_check=progress.on_check,
        )  # fmt: skip
    return DownloadResult(root, splits, skipped=False)
