"""What every data set offers, whatever its format on disk, and the table of formats.

To add a format: write its reader, a class with the members of Source, in a file of its own, and add a row to FORMATS.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from vocctl.data.competition import CompetitionData, is_competition
from vocctl.data.split_files import Problem, SplitFile
from vocctl.data.voc import VocData, is_voc
from vocctl.errors import DataError


class Source(Protocol):
    """A data set on disk, read one image at a time. Image ids are unique within a data set.

    Every method that reads a file raises DataError, which names the file, if it is missing, unreadable or invalid.
    """

    @property
    def root(self) -> Path:
        """The folder of the data set."""
        ...

    @property
    def name(self) -> str:
        """The name under which scores on this data set are filed."""
        ...

    @property
    def layout(self) -> str:
        """The name of the format, for messages."""
        ...

    # images and masks

    def splits(self) -> tuple[str, ...]:
        """The splits for segmentation."""
        ...

    def ids(self, split: str) -> list[str]:
        """The images of a split for segmentation, in its own order. Raises DataError: no such split, or an empty one."""
        ...

    def image_path(self, image_id: str) -> Path: ...

    def mask_path(self, image_id: str) -> Path | None:
        """None if the image has no mask (the competition's test images)."""
        ...

    def image(self, image_id: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        ...

    def mask(self, image_id: str) -> np.ndarray:
        """(H, W) uint8, labels 0..20 and IGNORE."""
        ...

    # class labels

    def label_splits(self) -> tuple[str, ...]:
        """The splits for classification. Their images need no masks."""
        ...

    def labels(self, split: str) -> dict[str, np.ndarray]:
        """Image id -> (20,) uint8: 1 present, 0 absent, IGNORE not scored; in the split's order."""
        ...

    # the competition's test images

    @property
    def test_split(self) -> str:
        """The split that contains the competition's test images."""
        ...

    @property
    def has_public_test_masks(self) -> bool:
        """Whether mask() reads the masks of the test images. False if the competition withholds them."""
        ...

    def test_ids(self) -> dict[str, str]:
        """Id in a submission -> image id, for each test image in order."""
        ...

    def test_truth(self, image_ids: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The classes (20,) bool and the mask (H, W) uint8 of each test image. Raises DataError: they are withheld."""
        ...

    # audit

    def split_files(self) -> list[SplitFile]:
        """The files that list the splits, those with masks first."""
        ...

    def listed_ids(self, split_file: SplitFile) -> list[str]:
        """The ids in one of split_files, in order, with repetitions."""
        ...

    def label_problems(self) -> Iterator[Problem]:
        """What is wrong in the files that hold class labels."""
        ...


@dataclass(frozen=True)
class DataFormat:
    name: str
    matches: Callable[[Path], bool]  # whether a folder has this format
    reader: Callable[[Path], Source]
    expected: str  # what such a folder contains, for messages


# The first format that matches a folder reads it.
FORMATS: tuple[DataFormat, ...] = (
    DataFormat("competition .npy", is_competition, CompetitionData, "train/train_set.csv"),
    DataFormat("VOC devkit", is_voc, VocData.open, "VOCdevkit/VOC<year>/JPEGImages or JPEGImages itself"),
)


ARCHIVE_ENDINGS = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")


def open_dataset(root: Path) -> Source:
    """The reader for a folder. Raises DataError: no such folder, or no format matches it."""
    if root.is_file():
        advice = (
            "unpack it and name its folder"
            if root.suffix.lower() in ARCHIVE_ENDINGS
            else "name the folder of a data set"
        )
        raise DataError(f"{root} is a file: {advice} as --data")
    if not root.is_dir():
        raise DataError(
            f"{root} is not a folder: `vocctl download voc2009 --out {root}` downloads VOC2009, or fix --data"
        )
    for data_format in FORMATS:
        if data_format.matches(root):
            return data_format.reader(root)
    expected = " or ".join(f"{data_format.expected} ({data_format.name})" for data_format in FORMATS)
    raise DataError(f"{root} is not a data set: expected {expected} in it. Fix --data, or run `vocctl download`")
