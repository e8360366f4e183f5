"""Reader of the KU Leuven H02A5a competition's folder: `.npy` images and masks, and two tables of class labels.

Source: the course's starter notebook. `train/train_set.csv` and `test/test_set.csv` have the columns Id and the 20 classes.
Images are `<part>/img/<part>_<Id>.npy`, masks `train/seg/train_<Id>.npy` with labels 0..20 (void became background). The
test images have neither masks nor labels; a mock competition stores them in `solution/`. The competition defines no
validation split, so we do: every fifth training image, in the table's order, is in `val`, the others in `train`, and all
of them in `trainval`.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vocctl.data.images import read_array, read_label_array
from vocctl.data.split_files import Problem, SplitFile, format_ids, format_repetitions, without_repetitions
from vocctl.errors import DataError
from vocctl.files import read_csv
from vocctl.labels import CLASSES, IGNORE

LABELED_SPLITS = ("train", "val", "trainval")
SPLITS = (*LABELED_SPLITS, "test")
VAL_EVERY = 5  # every fifth training image is in val


def void_to_background(mask: np.ndarray) -> np.ndarray:
    """mask (H, W) uint8 with IGNORE replaced by background, as the competition's own masks and scores have it."""
    return np.where(mask == IGNORE, 0, mask).astype(np.uint8)


def is_competition(root: Path) -> bool:
    """Whether a folder contains the competition's data."""
    return (root / "train" / "train_set.csv").is_file()


def read_table(path: Path) -> dict[str, tuple[int, ...]]:
    """Id -> the 20 labels, in the table's order. A row that is repeated counts once; a note says so.

    Raises DataError: missing, other columns, an invalid row, or no rows.
    """
    rows = _read_rows(path)
    without_repetitions([csv_id for csv_id, _ in rows], path)
    return dict(rows)


def _read_rows(path: Path) -> list[tuple[str, tuple[int, ...]]]:
    """(Id, the 20 labels) of each row, with repetitions. Raises DataError as read_table does."""
    if not path.is_file():
        raise DataError(f"{path} is missing: download the competition's data again")
    try:
        # a spreadsheet leaves blank rows as commas alone
        rows = [(line, cells) for line, cells in read_csv(path) if any(map(str.strip, cells))]
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise DataError(f"{path} cannot be read as a table: save it as a csv in UTF-8, or replace it") from error
    header = [cell.strip() for cell in rows[0][1]] if rows else []
    if [cell.lower() for cell in header] != ["id", *CLASSES]:
        hint = ", with commas instead of semicolons" if ";" in "".join(header) else ""
        raise DataError(f"{path} does not start with Id and the 20 class names in VOC's order: replace it{hint}")
    if len(rows) == 1:
        raise DataError(f"{path} is empty: a split needs at least one image")
    labels_of: dict[str, tuple[int, ...]] = {}
    table = []
    for line, cells in rows[1:]:
        csv_id = cells[0].strip()
        if len(cells) != 1 + len(CLASSES) or not (csv_id.isascii() and csv_id.isdigit()):
            hint = "; a spreadsheet has changed the id" if "E+" in csv_id.upper() else ""
            raise DataError(f"{path}, line {line}: expected a new numeric id and 20 labels, fix the line{hint}")
        try:
            labels = tuple(
                int(value.strip().removesuffix(".0")) for value in cells[1:]
            )  # pandas writes 1.0 beside gaps
        except ValueError as error:
            raise DataError(f"{path}, line {line}: labels are 0, 1 or -1, fix the line") from error
        if labels_of.setdefault(csv_id, labels) != labels:
            raise DataError(f"{path}, line {line}: Id {csv_id} is listed twice with different labels, fix the line")
        table.append((csv_id, labels))
    return table


@dataclass(frozen=True)
class CompetitionData:
    """Images, masks and labels of the competition. Ids are `train_<Id>` and `test_<Id>`. See source.py for its members."""

    root: Path
    layout: str = "competition .npy"
    test_split: str = "test"
    has_public_test_masks: bool = False

    @property
    def name(self) -> str:
        return self.root.resolve().name

    def _table_path(self, part: str) -> Path:
        """part: train or test."""
        return self.root / part / f"{part}_set.csv"

    def splits(self) -> tuple[str, ...]:
        return SPLITS

    def ids(self, split: str) -> list[str]:
        if split not in SPLITS:
            raise DataError(f"{self.root} has no split {split!r}: it has {', '.join(SPLITS)}")
        part = "test" if split == "test" else "train"
        ids = [f"{part}_{number}" for number in read_table(self._table_path(part))]
        if split == "val":
            ids = ids[VAL_EVERY - 1 :: VAL_EVERY]
        if split == "train":
            ids = [image_id for index, image_id in enumerate(ids, start=1) if index % VAL_EVERY != 0]
        if not ids:
            raise DataError(f"{self.root}: split {split!r} is empty, it needs at least {VAL_EVERY} training images")
        return ids

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
                f"{image_id} has no mask: the competition withholds those of test images, use another split"
            )
        return read_label_array(path)

    def label_splits(self) -> tuple[str, ...]:
        return LABELED_SPLITS

    def labels(self, split: str) -> dict[str, np.ndarray]:
        ids = self.ids(split)
        if split == "test":
            raise DataError(f"{self.root}: the competition withholds the labels of test images: use another split")
        path = self._table_path("train")
        table = read_table(path)
        targets = {}
        for image_id in ids:
            row = table[image_id.removeprefix("train_")]
            if not set(row) <= {0, 1}:
                raise DataError(f"{path}: the labels of {image_id} are not all 0 or 1, fix its line")
            targets[image_id] = np.array(row, np.uint8)
        return targets

    def test_ids(self) -> dict[str, str]:
        return {image_id.removeprefix("test_"): image_id for image_id in self.ids("test")}

    @property
    def solution(self) -> Path:
        """The folder in which a mock competition stores the ground truth of the test images. No split reads it."""
        return self.root / "solution"

    def test_truth(self, image_ids: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the classes and the mask of each test image from the solution.

        Raises DataError: there is no solution, it has no such image, or it has labels other than 0 and 1.
        """
        table_path = self.solution / "test_set.csv"
        if not table_path.is_file():
            raise DataError(
                f"{self.root} has no solution, the competition withholds it: name a VOC devkit as --truth, or build a mock "
                "competition with `vocctl download h02a5a --from`"
            )
        table = {f"test_{number}": labels for number, labels in read_table(table_path).items()}
        if not all(set(row) <= {0, 1} for row in table.values()):
            raise DataError(f"{table_path} has labels that are not 0 or 1: build the mock competition again")
        if missing := [image_id for image_id in image_ids if image_id not in table]:
            raise DataError(f"{self.solution} has no {missing[0]}: build the mock competition again")
        for image_id in image_ids:
            path = self.solution / "seg" / f"{image_id}.npy"
            yield np.array(table[image_id], bool), read_label_array(path)

    def split_files(self) -> list[SplitFile]:
        return [
            SplitFile(split, self._table_path("test" if split == "test" else "train"), split != "test")
            for split in SPLITS
        ]

    def listed_ids(self, split_file: SplitFile) -> list[str]:
        return self.ids(split_file.name)

    def label_problems(self) -> Iterator[Problem]:
        for part, allowed in (("train", {0, 1}), ("test", {-1, 0, 1})):
            path = self._table_path(part)
            try:
                rows = _read_rows(path)
            except DataError:
                continue  # reported when the splits were read
            table = dict(rows)
            if repeated := format_repetitions([csv_id for csv_id, _ in rows]):
                yield Problem(path, f"lists Id {repeated} more than once: remove the duplicates")
            files = {file.stem for file in (path.parent / "img").glob("*.npy")}
            if unlisted := sorted(files - {f"{part}_{number}" for number in table}):
                reason = f"does not list {format_ids(unlisted)} of img/: remove these files, or download the data again"
                yield Problem(path, reason)
            expected = ", ".join(map(str, sorted(allowed)))
            for number, labels in table.items():
                if invalid := sorted(set(labels) - allowed):
                    yield Problem(path, f"the row of Id {number} has label {invalid[0]}: expected {expected}")
