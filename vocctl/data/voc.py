"""Reader of the PASCAL VOC development kit, of any year.

Source: the devkit's layout, `VOCdevkit/VOC<year>/{JPEGImages,SegmentationClass,ImageSets/{Segmentation,Main}}`. The root
may be the folder of a year, its VOCdevkit, or a folder that contains VOCdevkit, or TrainVal/VOCdevkit as in 2011's archive.
`ImageSets/Segmentation/<split>.txt` lists the images with masks. `ImageSets/Main/<class>_<split>.txt` has one line per
image: its id and 1 (present), -1 (absent) or 0 (only objects marked "difficult": not scored). `SegmentationClassAug` is not
VOC's: it has masks of images that VOC has not annotated (sbd.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocctl.data.images import fit_mask, read_image, read_mask
from vocctl.data.split_files import Problem, SplitFile, is_file_stem
from vocctl.errors import DataError
from vocctl.files import read_text
from vocctl.labels import CLASSES, IGNORE, classes_in_mask

YEAR_FOLDERS = ("VOC20*", "VOCdevkit/VOC20*", "TrainVal/VOCdevkit/VOC20*")
MASK_FOLDERS = ("SegmentationClass", "SegmentationClassAug")  # an image's mask is in the first one that has it
LABEL_OF = {"1": 1, "-1": 0, "0": IGNORE}  # value in a class list -> target


def _year_folders(root: Path) -> list[Path]:
    """The devkits of single years at the first of YEAR_FOLDERS that has any, or root if it is one."""
    if (root / "JPEGImages").is_dir():
        return [root]
    for pattern in YEAR_FOLDERS:
        if folders := [path for path in sorted(root.glob(pattern)) if (path / "JPEGImages").is_dir()]:
            return folders
    return []


def is_voc(root: Path) -> bool:
    """Whether a folder is or contains a devkit."""
    return bool(_year_folders(root))


def find_devkit(root: Path) -> Path:
    """The folder with JPEGImages and ImageSets. Raises DataError: there is none, or there are several years."""
    folders = _year_folders(root)
    if not folders:
        raise DataError(f"{root} has no VOC devkit: expected VOCdevkit/VOC<year>/JPEGImages in it")
    if len(folders) > 1:
        years = ", ".join(path.name for path in folders)
        raise DataError(f"{root} has several years ({years}): name one of them, as --data {folders[-1]}")
    return folders[0]


@dataclass(frozen=True)
class VocData:
    """Images, class masks and class labels of one year's devkit. Its members are described in source.py."""

    devkit: Path
    name: str
    layout: str = "VOC devkit"
    test_split: str = "val"  # the competition's test images are Segmentation/val of VOC2009
    has_public_test_masks: bool = True

    @classmethod
    def open(cls, root: Path) -> "VocData":
        """The devkit in root, named after root. Raises DataError as find_devkit does."""
        return cls(find_devkit(root), name=root.resolve().name)

    @property
    def root(self) -> Path:
        return self.devkit

    @property
    def _main(self) -> Path:
        return self.devkit / "ImageSets" / "Main"

    @property
    def _segmentation(self) -> Path:
        return self.devkit / "ImageSets" / "Segmentation"

    def splits(self) -> tuple[str, ...]:
        return tuple(sorted(path.stem for path in self._segmentation.glob("*.txt")))

    def ids(self, split: str) -> list[str]:
        path = self._segmentation / f"{split}.txt"
        if not path.is_file():
            raise DataError(f"{path} is missing: the splits with masks are {', '.join(self.splits()) or 'none'}")
        try:
            ids = read_text(path).split()
        except (UnicodeDecodeError, OSError) as error:
            raise DataError(f"{path} cannot be read as text: replace the list") from error
        if not ids:
            raise DataError(f"{path} is empty: a split needs at least one image")
        for image_id in ids:
            if not is_file_stem(image_id):
                raise DataError(f"{path} lists {image_id!r}: an id is a file name without its folder, fix the list")
        return ids

    def image_path(self, image_id: str) -> Path:
        """The .jpg, or else the .png: adversarial images are stored without loss."""
        jpeg = self.devkit / "JPEGImages" / f"{image_id}.jpg"
        png = jpeg.with_suffix(".png")
        return png if not jpeg.exists() and png.exists() else jpeg

    def mask_path(self, image_id: str) -> Path:
        paths = [self.devkit / folder / f"{image_id}.png" for folder in MASK_FOLDERS]
        return next((path for path in paths if path.exists()), paths[0])

    def image(self, image_id: str) -> np.ndarray:
        return read_image(self.image_path(image_id))

    def mask(self, image_id: str) -> np.ndarray:
        return fit_mask(read_mask(self.mask_path(image_id)), self.image_path(image_id))

    def label_splits(self) -> tuple[str, ...]:
        prefix = f"{CLASSES[0]}_"
        return tuple(sorted(path.stem.removeprefix(prefix) for path in self._main.glob(f"{prefix}*.txt")))

    def labels(self, split: str) -> dict[str, np.ndarray]:
        """Raises DataError: no such split, lists of different images, or an invalid line."""
        columns = [self._class_list(name, split) for name in CLASSES]
        for name, column in zip(CLASSES, columns, strict=True):
            if difference := column.keys() ^ columns[0].keys():
                raise DataError(
                    f"{self._main}/{name}_{split}.txt and {CLASSES[0]}_{split}.txt list different images "
                    f"({min(difference)}): replace them, the 20 lists of a split have the same images"
                )
        return {image_id: np.array([column[image_id] for column in columns], np.uint8) for image_id in columns[0]}

    def _class_list(self, class_name: str, split: str) -> dict[str, int]:
        """Image id -> 1, 0 or IGNORE for one class."""
        path = self._main / f"{class_name}_{split}.txt"
        if not path.is_file():
            known = ", ".join(self.label_splits()) or "none"
            raise DataError(f"{path} is missing: the splits with class lists are {known}")
        labels: dict[str, int] = {}
        for number, row in _class_list_rows(path):
            if not _is_class_list_row(row):
                raise DataError(f"{path}, line {number}: expected an id and 1, 0 or -1, got {' '.join(row)[:60]!r}")
            image_id, value = row
            if not is_file_stem(image_id):
                raise DataError(f"{path} lists {image_id!r}: an id is a file name without its folder, fix the list")
            if image_id in labels:
                raise DataError(f"{path}, line {number}: {image_id} is listed twice, fix the list")
            labels[image_id] = LABEL_OF[value]
        if not labels:
            raise DataError(f"{path} is empty: a split needs at least one image")
        return labels

    def test_ids(self) -> dict[str, str]:
        """Ids in a submission count from 0 in the order of val.txt."""
        return {str(number): image_id for number, image_id in enumerate(self.ids(self.test_split))}

    def test_truth(self, image_ids: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for image_id in image_ids:
            mask = self.mask(image_id)
            yield classes_in_mask(mask), mask

    def split_files(self) -> list[SplitFile]:
        files = [SplitFile(f"Segmentation/{name}", self._segmentation / f"{name}.txt", True) for name in self.splits()]
        paths = [path for path in sorted(self._main.glob("*.txt")) if not _is_class_list(path)]
        return files + [SplitFile(f"Main/{path.stem}", path, False) for path in paths]

    def listed_ids(self, split_file: SplitFile) -> list[str]:
        return self.ids(split_file.path.stem) if split_file.has_masks else read_ids(split_file.path)

    def label_problems(self) -> Iterator[Problem]:
        """Line by line: one list may have several problems."""
        for path in sorted(self._main.glob("*_*.txt")):
            if _is_class_list(path):
                yield from _class_list_problems(path)


def read_ids(path: Path) -> list[str]:
    """The first word of each line of a list. Raises DataError: not text."""
    try:
        lines = read_text(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as a list of ids: unpack the archive again") from error
    return [line.split()[0] for line in lines if line.strip()]


def _is_class_list(path: Path) -> bool:
    return path.stem.rpartition("_")[0] in CLASSES


def _class_list_rows(path: Path) -> list[tuple[int, list[str]]]:
    """The number, from 1, and the words of each line that is not blank. Raises DataError: not text."""
    try:
        return _numbered_rows(read_text(path))
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} cannot be read as text: replace the list") from error


def _numbered_rows(text: str) -> list[tuple[int, list[str]]]:
    return [(number, line.split()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]


def _is_class_list_row(row: list[str]) -> bool:
    return len(row) == 2 and row[1] in LABEL_OF


def _class_list_problems(path: Path) -> Iterator[Problem]:
    try:
        rows = _numbered_rows(read_text(path))
    except (OSError, UnicodeDecodeError):
        yield Problem(path, "is not text: unpack the archive again")
        return
    if not rows:
        yield Problem(path, "is empty: expected a line for each image of the split")
    for number, row in rows:
        if not _is_class_list_row(row):
            yield Problem(path, f"line {number} is {' '.join(row)[:60]!r}: expected an id and 1, -1 or 0")
