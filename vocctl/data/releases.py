"""PASCAL VOC's yearly releases: where each is fetched from, and whether a folder holds one whole.

Source of names and md5: torchvision, `datasets/voc.py` (there 2008's tar is saved under 2012's name).
Source of sizes: the VOC2009 page; tensorflow_datasets' `voc` (2007 and 2012, Main); the VOC2012 devkit (Segmentation).
A year without sizes is one for which no source was found: its lists must hold something, and name files that exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vocctl.data.voc import find_devkit
from vocctl.errors import DataError
from vocctl.files import read_text

SPLITS = ("train", "val", "trainval")


@dataclass(frozen=True, kw_only=True)
class Release:
    """One year's training and validation archive."""

    year: int
    archive: str  # its name on the server
    md5: str
    urls: tuple[str, ...]  # in the order in which they are tried
    base: str = "VOCdevkit"  # the folder of the archive that holds VOC<year>
    split_sizes: Mapping[str, int] = field(default_factory=dict)  # "Main/train" -> images; what is known for sure

    @property
    def name(self) -> str:
        return f"voc{self.year}"


def _release(year: int, archive: str, md5: str, sizes: Mapping[str, int] | None = None, **changed: str) -> Release:
    address = f"host.robots.ox.ac.uk/pascal/VOC/voc{year}/{archive}"
    urls = (
        f"https://thor.robots.ox.ac.uk/pascal/VOC/voc{year}/{archive}",
        f"http://{address}",
        f"https://web.archive.org/web/2020id_/http://{address}",  # id_: the bytes as they were captured, unchanged
    )
    return Release(year=year, archive=archive, md5=md5, urls=urls, split_sizes=sizes or {}, **changed)


def _sizes(main: tuple[int, int], segmentation: tuple[int, int] | None = None) -> dict[str, int]:
    """The sizes of train, val and both together. main, segmentation: (train, val)."""
    known = {"Main": main, "Segmentation": segmentation}
    return {
        f"{folder}/{split}": size
        for folder, pair in known.items()
        if pair is not None
        for split, size in zip(SPLITS, (*pair, sum(pair)), strict=True)
    }


RELEASES: Mapping[str, Release] = {
    release.name: release
    for release in (
        _release(2007, "VOCtrainval_06-Nov-2007.tar", "c52e279531787c972589f7e41ab4ae64", _sizes((2501, 2510))),
        _release(2008, "VOCtrainval_14-Jul-2008.tar", "2629fa636546599198acfcfbfcf1904a"),
        _release(
            2009, "VOCtrainval_11-May-2009.tar", "a3e00b113cfcfebf17e343f59da3caa1", _sizes((3473, 3581), (749, 750))
        ),
        _release(2010, "VOCtrainval_03-May-2010.tar", "da459979d0c395079b5c75ee67908abb"),
        _release(
            2011, "VOCtrainval_25-May-2011.tar", "6c3384ef61512963050cb5d687e5bf1e", base="TrainVal/VOCdevkit"
        ),
        _release(
            2012, "VOCtrainval_11-May-2012.tar", "6cd6e144f989b92b3379bac3b3de84fd", _sizes((5717, 5823), (1464, 1449))
        ),
    )
}  # fmt: skip


def read_ids(path: Path) -> list[str]:
    """The first word of each line of a split list. Raises DataError: not text."""
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no list of ids that can be read: unpack the archive again") from error
    return [line.split()[0] for line in lines if line.strip()]


def check_release(root: Path, release: Release) -> dict[str, int]:
    """Images per split of the release that root holds. Raises DataError: none there, or not all of it.

    Looks at the lists and the names of files; `data/audit.py` decodes every image.
    """
    again = f"choose another folder with --out, or delete {root} and run `vocctl download {release.name}` again"
    try:
        devkit = find_devkit(root)
    except DataError as error:
        raise DataError(f"{root} holds no VOC{release.year}, or another year beside it: {again}") from error
    if devkit.resolve().name != f"VOC{release.year}":
        raise DataError(f"{root} holds {devkit.resolve().name}, VOC{release.year} was expected: {again}")
    folders = (
        ("Main", "JPEGImages", ".jpg"),
        ("Segmentation", "JPEGImages", ".jpg"),
        ("Segmentation", "SegmentationClass", ".png"),
    )
    there = {files: {path.name for path in (devkit / files).glob("*")} for _, files, _ in folders}
    found: dict[str, int] = {}
    for lists, files, ending in folders:
        for split in SPLITS:
            key, path = f"{lists}/{split}", devkit / "ImageSets" / lists / f"{split}.txt"
            if not path.is_file():
                raise DataError(f"{path} is missing: {again}")
            ids = read_ids(path)
            found[key] = len(ids)
            expected = release.split_sizes.get(key)
            if not ids or (expected is not None and len(ids) != expected):
                due = "at least 1 was" if expected is None else f"{expected} were"
                raise DataError(f"{path} lists {len(ids)} images, {due} expected: {again}")
            lost = next((name for name in ids if name + ending not in there[files]), None)
            if lost is not None:
                raise DataError(f"{devkit / files / lost}{ending} is missing, {path.name} of {lists} lists it: {again}")
    return found
