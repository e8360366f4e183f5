"""PASCAL VOC's yearly releases and what is added to them: where to download each, and whether a folder has a complete one.

Source of names and md5: torchvision, `datasets/voc.py` (which saves 2008's tar under 2012's name) and `datasets/sbd.py`.
Source of sizes: the VOC2009 page; tensorflow_datasets' `voc` (2007 and 2012, Main); the VOC2012 devkit (Segmentation). For
the lists without sizes no source was found: they must not be empty, and the files that they name must exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vocctl.data.file_index import IMAGE_ENDINGS, files_by_stem
from vocctl.data.voc import MASK_FOLDERS, find_devkit
from vocctl.data.voc_lists import read_ids
from vocctl.errors import DataError

SPLITS = ("train", "val", "trainval")
VOC_LISTS = tuple(f"{folder}/{split}" for folder in ("Main", "Segmentation") for split in SPLITS)


@dataclass(frozen=True, kw_only=True)
class Release:
    """One year's training and validation archive, or an archive that adds splits to that year's folder."""

    year: int
    addition: str | None = None  # name of the data set that is added to the year; None: the year itself
    archive: str  # file name on the server
    md5: str
    urls: tuple[str, ...]  # in the order in which they are tried
    lists: tuple[str, ...] = VOC_LISTS  # of images, below ImageSets
    split_sizes: Mapping[str, int] = field(default_factory=dict)  # "Main/train" -> number of images; missing: unknown

    @property
    def base(self) -> str:
        """The name of the year's own release, to which an addition is added."""
        return f"voc{self.year}"

    @property
    def name(self) -> str:
        return self.addition or self.base


def _urls(year: int, archive: str) -> tuple[str, ...]:
    address = f"host.robots.ox.ac.uk/pascal/VOC/voc{year}/{archive}"
    return (
        f"https://thor.robots.ox.ac.uk/pascal/VOC/voc{year}/{archive}",
        f"http://{address}",
        f"https://web.archive.org/web/2020id_/http://{address}",  # id_: the original bytes
    )


def _release(year: int, archive: str, md5: str, sizes: Mapping[str, int] | None = None) -> Release:
    return Release(year=year, archive=archive, md5=md5, urls=_urls(year, archive), split_sizes=sizes or {})


def _sizes(main: tuple[int, int], segmentation: tuple[int, int] | None = None) -> dict[str, int]:
    """Number of images in train, val and trainval. main, segmentation: (train, val)."""
    pairs = {"Main": main, "Segmentation": segmentation}
    return {
        f"{folder}/{split}": size
        for folder, pair in pairs.items()
        if pair is not None
        for split, size in zip(SPLITS, (*pair, sum(pair)), strict=True)
    }


VOC2007_TEST = Release(
    year=2007, addition="voc2007-test", archive="VOCtest_06-Nov-2007.tar", md5="b6e924de25625d8de591ea690078ad9f",
    urls=_urls(2007, "VOCtest_06-Nov-2007.tar"), lists=("Main/test", "Segmentation/test"), split_sizes={"Main/test": 4952},
)  # fmt: skip
SBD = Release(
    year=2012, addition="sbd", archive="benchmark.tgz", md5="82b4d87ceb2ed10f6038a1cba92111cb",
    urls=("https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",),
    lists=("Segmentation/trainaug",),
)  # fmt: skip

RELEASES: Mapping[str, Release] = {
    release.name: release
    for release in (
        _release(2007, "VOCtrainval_06-Nov-2007.tar", "c52e279531787c972589f7e41ab4ae64", _sizes((2501, 2510))),
        VOC2007_TEST,
        _release(2008, "VOCtrainval_14-Jul-2008.tar", "2629fa636546599198acfcfbfcf1904a"),
        _release(
            2009, "VOCtrainval_11-May-2009.tar", "a3e00b113cfcfebf17e343f59da3caa1", _sizes((3473, 3581), (749, 750))
        ),
        _release(2010, "VOCtrainval_03-May-2010.tar", "da459979d0c395079b5c75ee67908abb"),
        _release(2011, "VOCtrainval_25-May-2011.tar", "6c3384ef61512963050cb5d687e5bf1e"),
        _release(
            2012, "VOCtrainval_11-May-2012.tar", "6cd6e144f989b92b3379bac3b3de84fd", _sizes((5717, 5823), (1464, 1449))
        ),
        SBD,
    )
}  # fmt: skip


# folder of lists -> (folders of files, usual ending): every image of the lists has a file in one of the folders
FILES_OF_LISTS = {
    "Main": ((("JPEGImages",), ".jpg"),),
    "Segmentation": ((("JPEGImages",), ".jpg"), (MASK_FOLDERS, ".png")),
}


def check_release(root: Path, release: Release) -> dict[str, int]:
    """Number of images in each split of the release in root. Raises DataError: it is not there, or not complete.

    Reads the lists and checks that the files exist; `data/audit.py` decodes every image.
    """
    advice = f"choose another folder with --out, or delete {root} and run `vocctl download {release.name}` again"
    if release.addition is not None:
        advice = (
            f"choose another folder with --out, or delete what is wrong and run `vocctl download {release.name}` again"
        )
    try:
        devkit = find_devkit(root)
    except DataError as error:
        raise DataError(f"{root} contains no devkit, or several; expected VOC{release.year}: {advice}") from error
    if devkit.resolve().name != f"VOC{release.year}":
        raise DataError(f"{root} contains {devkit.resolve().name}, expected VOC{release.year}: {advice}")
    sizes: dict[str, int] = {}
    for name in release.lists:
        path = devkit / "ImageSets" / f"{name}.txt"
        ids = _read_split(path, release.split_sizes.get(name), advice)
        for folders, extension in FILES_OF_LISTS[path.parent.name]:
            indices = [files_by_stem(devkit / folder, IMAGE_ENDINGS) for folder in folders]
            for image_id in ids:
                if not any(image_id in index for index in indices):
                    missing = devkit / folders[0] / f"{image_id}{extension}"
                    raise DataError(f"{missing} is missing, but {name}.txt lists it: {advice}")
        sizes[name] = len(ids)
    return sizes


def _read_split(path: Path, expected: int | None, advice: str) -> list[str]:
    """expected: number of images; None: unknown, but at least 1."""
    if not path.is_file():
        raise DataError(f"{path} is missing: {advice}")
    ids = read_ids(path)
    if not ids or (expected is not None and len(ids) != expected):
        raise DataError(
            f"{path} lists {len(ids)} images, expected {'at least 1' if expected is None else expected}: {advice}"
        )
    return ids
