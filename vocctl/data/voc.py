"""Reader of the PASCAL VOC development kit, of any year.

Source: the devkit's layout, `VOCdevkit/VOC<year>/{JPEGImages,SegmentationClass,ImageSets/{Segmentation,Main}}`. The root
may be the folder of a year, its VOCdevkit, or a folder that contains VOCdevkit, or TrainVal/VOCdevkit as in 2011's archive.
`ImageSets/Segmentation/<split>.txt` lists the images with masks. `ImageSets/Main/<class>_<split>.txt` has one line per
image: its id and 1 (present), -1 (absent) or 0 (only objects marked "difficult": not scored). Two folders of masks are not
VOC's: `SegmentationClassAug` has masks of images that VOC has not annotated (sbd.py), and `SegmentationClassPNG` is labelme's
name for the masks.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from vocctl.data.class_names import class_name_problems
from vocctl.data.file_index import (
    IMAGE_ENDINGS,
    LOSSY_ENDINGS,
    UNREAD_ENDINGS,
    FileIndex,
    files_by_stem,
    only_file,
)
from vocctl.data.images import fit_mask, read_image, read_mask
from vocctl.data.split_files import Problem, SplitFile, is_test_split, make_lists_hint, without_repetitions
from vocctl.data.voc_lists import LABEL_OF, ClassRow, class_list_problems, read_class_list, read_ids
from vocctl.errors import DataError
from vocctl.labels import CLASSES, classes_in_mask

logger = logging.getLogger(__name__)
YEAR_FOLDERS = ("VOC20*", "VOCdevkit/VOC20*", "TrainVal/VOCdevkit/VOC20*")
MASK_FOLDERS = (
    "SegmentationClass",
    "SegmentationClassPNG",
    "SegmentationClassAug",
)  # an image's mask is in the first one that has it


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
        raise DataError(f"{root} has no VOC devkit: expected VOCdevkit/VOC<year>/JPEGImages or JPEGImages itself in it")
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

    @cached_property
    def _images(self) -> FileIndex:
        return files_by_stem(self.devkit / "JPEGImages", IMAGE_ENDINGS + UNREAD_ENDINGS)

    @cached_property
    def _masks(self) -> list[tuple[Path, FileIndex]]:
        return [(self.devkit / name, files_by_stem(self.devkit / name, IMAGE_ENDINGS)) for name in MASK_FOLDERS]

    @cached_property
    def _split_paths(self) -> dict[str, Path]:
        names = files_by_stem(self._segmentation, (".txt",))
        return {split: only_file(self._segmentation, files) for split, files in names.items()}

    @cached_property
    def _main_lists(self) -> FileIndex:
        return files_by_stem(self._main, (".txt",))

    def splits(self) -> tuple[str, ...]:
        return tuple(sorted(self._split_paths))

    def ids(self, split: str) -> list[str]:
        path = self._split_paths.get(split)
        if path is None:
            known = (
                f"the splits with masks are {', '.join(self.splits())}; name one of them, or hold out a part with --val"
            )
            hint = known if self.splits() else f"there are no lists; {make_lists_hint(self.devkit)}"
            raise DataError(f"{self._segmentation / split}.txt is missing: {hint}")
        for problem in class_name_problems(self.devkit):
            logger.warning("%s %s", problem.path, problem.reason)
        ids = [self._images.own_stem(image_id) for image_id in read_ids(path, self._images)]
        if not ids:
            raise DataError(f"{path} is empty: a split needs at least one image")
        return without_repetitions(ids, path)

    def image_path(self, image_id: str) -> Path:
        """<id>.jpg if the image is missing. Raises DataError: several images have this id."""
        names = self._images.get(image_id, [f"{image_id}.jpg"])
        readable = [name for name in names if name.lower().endswith(IMAGE_ENDINGS)]
        return only_file(self.devkit / "JPEGImages", readable or names)

    def mask_path(self, image_id: str) -> Path:
        """SegmentationClass/<id>.png if the mask is missing. Raises DataError: several masks of a folder have this id."""
        for folder, masks in self._masks:
            if names := masks.get(image_id):
                lossless = [name for name in names if not name.lower().endswith(LOSSY_ENDINGS)]
                return only_file(folder, lossless or names)
        return self._masks[0][0] / f"{image_id}.png"

    @property
    def num_images(self) -> int:
        """In JPEGImages, whether a list names them or not."""
        return len(self._images)

    def masked_ids(self) -> list[str]:
        """The images that have a mask, whether a list names them or not, sorted."""
        return sorted(image_id for image_id in self._images if any(image_id in masks for _, masks in self._masks))

    def image(self, image_id: str) -> np.ndarray:
        return read_image(self.image_path(image_id))

    def mask(self, image_id: str) -> np.ndarray:
        return fit_mask(read_mask(self.mask_path(image_id)), self.image_path(image_id))

    def label_splits(self) -> tuple[str, ...]:
        prefix = f"{CLASSES[0]}_"
        return tuple(sorted(stem[len(prefix) :] for stem in self._main_lists if stem.lower().startswith(prefix)))

    def labels(self, split: str) -> dict[str, np.ndarray]:
        """Raises DataError: no such split, lists of different images, or an invalid line."""
        paths = [self._class_list_path(name, split) for name in CLASSES]
        lists = {path: self._own_stems(read_class_list(path, self._images)) for path in paths}
        first, *others = lists
        ids = without_repetitions([row.image_id for row in lists[first]], first)
        columns = [{row.image_id: LABEL_OF[row.value] for row in rows} for rows in lists.values()]
        for path, column in zip(others, columns[1:], strict=True):
            if difference := column.keys() ^ columns[0].keys():
                raise DataError(
                    f"{path} and {first.name} list different images ({min(difference)}): replace them, the 20 lists of a "
                    "split have the same images"
                )
        return {image_id: np.array([column[image_id] for column in columns], np.uint8) for image_id in ids}

    def _own_stems(self, rows: Sequence[ClassRow]) -> list[ClassRow]:
        """The rows with the ids as the images' files have them."""
        return [row._replace(image_id=self._images.own_stem(row.image_id)) for row in rows]

    def _class_list_path(self, class_name: str, split: str) -> Path:
        names = self._main_lists.get(f"{class_name}_{split}")
        if names is None:
            known = ", ".join(self.label_splits()) or "none"
            path = self._main / f"{class_name}_{split}.txt"
            raise DataError(f"{path} is missing: the splits with class lists are {known}")
        return only_file(self._main, names)

    def test_ids(self) -> dict[str, str]:
        """Ids in a submission count from 0 in the order of val.txt."""
        return {str(number): image_id for number, image_id in enumerate(self.ids(self.test_split))}

    def test_truth(self, image_ids: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for image_id in image_ids:
            mask = self.mask(image_id)
            yield classes_in_mask(mask), mask

    def split_files(self) -> list[SplitFile]:
        files = [
            SplitFile(f"Segmentation/{name}", path, self._has_masks(name, path))
            for name, path in sorted(self._split_paths.items())
        ]
        paths = [path for path in self._main_paths() if not _is_class_list(path)]
        return files + [SplitFile(f"Main/{path.stem}", path, False) for path in paths]

    def _main_paths(self) -> list[Path]:
        return sorted(self._main / name for names in self._main_lists.values() for name in names)

    def _has_masks(self, split: str, path: Path) -> bool:
        """False for a test split without any mask: VOC publishes those of 2007's test images alone."""
        if not is_test_split(split):
            return True
        try:
            ids = read_ids(path, self._images)
        except DataError:  # reported when the list is read
            return True
        return not ids or any(image_id in masks for image_id in ids for _, masks in self._masks)

    def listed_ids(self, split_file: SplitFile) -> list[str]:
        in_main = split_file.path.parent.name == "Main"
        ids = read_ids(split_file.path, self._images, has_values=in_main)
        return [self._images.own_stem(image_id) for image_id in ids]

    def label_problems(self) -> Iterator[Problem]:
        """Line by line: one list may have several problems."""
        yield from class_name_problems(self.devkit)
        for path in self._main_paths():
            if _is_class_list(path):
                yield from class_list_problems(path, self._images)


def _is_class_list(path: Path) -> bool:
    return path.stem.rpartition("_")[0].lower() in CLASSES
