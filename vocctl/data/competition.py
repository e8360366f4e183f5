"""The KU Leuven H02A5a competition's layout: `.npy` images and masks beside two tables of labels.

Source: the course's starter notebook. `train/train_set.csv` and `test/test_set.csv` hold Id and the 20 classes; images are
`<part>/img/<part>_<Id>.npy`, masks `train/seg/train_<Id>.npy` with 0..20 (void became background). The test part has no
masks. No validation part is given, so every fifth training image, in the table's order, is ours: split `val`; the other
four are `train`, all of them `trainval`.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocctl.data.images import checked_labels, read_array
from vocctl.errors import DataError
from vocctl.labels import CLASSES, IGNORE, NUM_SEG_CLASSES

SPLITS = ("train", "val", "trainval", "test")


def void_to_background(mask: np.ndarray) -> np.ndarray:
    """mask (H, W) uint8 with void as background, which is how the competition scores it."""
    return np.where(mask == IGNORE, 0, mask).astype(np.uint8)


def classes_in(mask: np.ndarray) -> np.ndarray:
    """(20,) bool: the foreground classes that a mask holds."""
    present: np.ndarray = np.bincount(mask.ravel(), minlength=IGNORE + 1)[1:NUM_SEG_CLASSES] > 0
    return present


def is_competition(root: Path) -> bool:
    return (root / "train" / "train_set.csv").is_file()


def read_table(path: Path) -> dict[str, tuple[int, ...]]:
    """Id -> the 20 labels, in the file's order. Raises DataError: missing, columns that differ, no rows."""
    if not path.is_file():
        raise DataError(f"{path} is missing: download the competition's data again")
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.reader(stream))
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise DataError(f"{path} can't be read as a table: replace it") from error
    if not rows or tuple(rows[0]) != ("Id", *CLASSES):
        raise DataError(f"{path} does not start with Id and the 20 class names in VOC's order: replace it")
    if len(rows) == 1:
        raise DataError(f"{path} is empty: a split needs at least one image")
    table: dict[str, tuple[int, ...]] = {}
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != 1 + len(CLASSES) or not row[0].isdigit() or row[0] in table:
            raise DataError(f"{path}, line {line}: an id of its own and 20 labels are due, mend the line")
        try:
            table[row[0]] = tuple(int(value) for value in row[1:])
        except ValueError as error:
            raise DataError(f"{path}, line {line}: labels are 0, 1 or -1, mend the line") from error
    return table


@dataclass(frozen=True)
class CompetitionData:
    """Images and masks of the competition's folder. Ids are `train_<Id>` and `test_<Id>`."""

    root: Path
    layout: str = "competition .npy"

    @property
    def name(self) -> str:
        return self.root.resolve().name

    def splits(self) -> tuple[str, ...]:
        return SPLITS

    def ids(self, split: str) -> list[str]:
        if split not in SPLITS:
            raise DataError(f"{self.root} has no split {split!r}: it has {', '.join(SPLITS)}")
        part = "test" if split == "test" else "train"
        ids = [f"{part}_{number}" for number in read_table(self.root / part / f"{part}_set.csv")]
        if split == "val":
            ids = ids[4::5]
        if split == "train":
            ids = [image_id for place, image_id in enumerate(ids) if place % 5 != 4]
        if not ids:
            raise DataError(f"{self.root}: split {split!r} is empty, it takes five training images to hold one out")
        return ids

    @property
    def solution(self) -> Path:
        """Where a rehearsal keeps what the competition keeps to itself; not read by any split."""
        return self.root / "solution"

    def test_truth(self, image_id: str) -> np.ndarray:
        """(H, W) uint8 mask of a test image, from the solution. Raises DataError: there is none."""
        path = self.solution / "seg" / f"{image_id}.npy"
        return checked_labels(read_array(path, dims=2), path)

    def test_labels(self) -> dict[str, np.ndarray]:
        """Test image -> (20,) bool, from the solution. Raises DataError: there is none, or no 0 and 1."""
        path = self.solution / "test_set.csv"
        if not path.is_file():
            raise DataError(
                f"{self.root} holds no solution, the competition keeps it: name a VOC tree as --truth, or rehearse with "
                "`vocctl download h02a5a --from`"
            )
        table = read_table(path)
        if not all(set(row) <= {0, 1} for row in table.values()):
            raise DataError(f"{path} holds labels that are not 0 and 1: build it again")
        return {f"test_{number}": np.array(row, bool) for number, row in table.items()}

    def image_path(self, image_id: str) -> Path:
        return self.root / image_id.split("_")[0] / "img" / f"{image_id}.npy"

    def mask_path(self, image_id: str) -> Path | None:
        return self.root / "train" / "seg" / f"{image_id}.npy" if image_id.startswith("train_") else None

    def image(self, image_id: str) -> np.ndarray:
        return read_array(self.image_path(image_id), dims=3)

    def mask(self, image_id: str) -> np.ndarray:
        path = self.mask_path(image_id)
        if path is None:
            raise DataError(
                f"{image_id} has no mask: the competition keeps those of its test part, score another split"
            )
        return checked_labels(read_array(path, dims=2), path)
