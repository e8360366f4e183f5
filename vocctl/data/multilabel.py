"""A data set seen as images with labels of the 20 classes: ids and targets come from its class lists, masks are not read.

The devkit's lists are `ImageSets/Main/<class>_<split>.txt`: an id and 1 (present), -1 (absent) or 0 (only difficult
objects, which becomes IGNORE). The competition's are its two tables. A image's target is (20,) uint8: 1, 0 or IGNORE.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocctl.data.competition import CompetitionData, read_table
from vocctl.data.source import Source
from vocctl.data.voc import VocData
from vocctl.errors import DataError
from vocctl.files import read_text
from vocctl.labels import CLASSES, IGNORE

FROM_LIST = {"1": 1, "-1": 0, "0": IGNORE}


@dataclass(frozen=True)
class MultilabelDataset:
    """A Source whose splits are those with class lists, and which has no masks."""

    images: VocData | CompetitionData

    @property
    def root(self) -> Path:
        return self.images.root

    @property
    def name(self) -> str:
        return self.images.name

    @property
    def layout(self) -> str:
        return self.images.layout

    def splits(self) -> tuple[str, ...]:
        if isinstance(self.images, CompetitionData):
            return tuple(split for split in self.images.splits() if split != "test")
        first = f"{CLASSES[0]}_"
        return tuple(sorted(path.stem.removeprefix(first) for path in self._lists().glob(f"{first}*.txt")))

    def ids(self, split: str) -> list[str]:
        return list(self.targets(split))

    def targets(self, split: str) -> dict[str, np.ndarray]:
        """Id -> target, in the lists' order. Raises DataError: no such split, lists that differ, a label VOC lacks."""
        if isinstance(self.images, CompetitionData):
            return _from_table(self.images, split)
        columns = [_read_list(self._lists() / f"{name}_{split}.txt", self.splits()) for name in CLASSES]
        for name, column in zip(CLASSES, columns, strict=True):
            if column.keys() != columns[0].keys():
                other = next(iter(column.keys() ^ columns[0].keys()))
                raise DataError(
                    f"{self._lists()}/{name}_{split}.txt and {CLASSES[0]}_{split}.txt differ in their images ({other}): "
                    "the 20 lists of a split name the same ones, replace them"
                )
        return {image_id: np.array([column[image_id] for column in columns], np.uint8) for image_id in columns[0]}

    def image_path(self, image_id: str) -> Path:
        return self.images.image_path(image_id)

    def mask_path(self, image_id: str) -> Path | None:
        return None

    def image(self, image_id: str) -> np.ndarray:
        return self.images.image(image_id)

    def mask(self, image_id: str) -> np.ndarray:
        raise DataError(f"{image_id}: masks are not read for classification")

    def _lists(self) -> Path:
        return self.root / "ImageSets" / "Main"


def with_labels(source: Source) -> MultilabelDataset:
    """The same data set with its class labels."""
    assert isinstance(source, VocData | CompetitionData)
    return MultilabelDataset(source)


def target_matrix(source: MultilabelDataset, split: str, ids: tuple[str, ...]) -> np.ndarray:
    """(N, 20) uint8: the targets of these images of the split, in their order."""
    targets = source.targets(split)
    return np.stack([targets[image_id] for image_id in ids])


def _from_table(images: CompetitionData, split: str) -> dict[str, np.ndarray]:
    ids = images.ids(split)
    if split == "test":
        raise DataError(f"{images.root}: the competition keeps the labels of its test part, name another split")
    path = images.root / "train" / "train_set.csv"
    table = read_table(path)
    targets = {}
    for image_id in ids:
        row = table[image_id.removeprefix("train_")]
        if not set(row) <= {0, 1}:
            raise DataError(f"{path}: the labels of {image_id} are not 0 and 1 alone, mend its line")
        targets[image_id] = np.array(row, np.uint8)
    return targets


def _read_list(path: Path, known: tuple[str, ...]) -> dict[str, int]:
    if not path.is_file():
        raise DataError(f"{path} is missing: the splits with class lists are {', '.join(known) or 'none'}")
    try:
        rows = [line.split() for line in read_text(path).splitlines() if line.strip()]
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} can't be read as text: replace the list") from error
    labels: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        if len(row) != 2 or row[1] not in FROM_LIST:
            raise DataError(f"{path}, line {number}: an id and 1, 0 or -1 are due, got {' '.join(row)[:60]!r}")
        image_id = row[0]
        if Path(image_id).name != image_id or not image_id.isprintable() or image_id in (".", ".."):
            raise DataError(f"{path} lists {image_id!r}: an id is a file name without its folder, mend the list")
        if image_id in labels:
            raise DataError(f"{path}, line {number}: {image_id} is listed twice, mend the list")
        labels[image_id] = FROM_LIST[row[1]]
    if not labels:
        raise DataError(f"{path} is empty: a split needs at least one image")
    return labels
