"""Which reader opens a folder, and what every reader offers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vocctl.config import DataConfig
from vocctl.data import source as module
from vocctl.data.audit import audit
from vocctl.data.competition import CompetitionData
from vocctl.data.images import read_image, read_mask, write_mask
from vocctl.data.source import DataFormat, open_dataset
from vocctl.data.split_files import Problem, SplitFile
from vocctl.data.splits import open_cls_splits, open_seg_splits
from vocctl.data.voc import VocData
from vocctl.errors import DataError
from vocctl.labels import classes_in_mask


def test_devkit_is_named_after_the_folder_that_was_given(devkit):
    root = devkit.parent.parent
    source = open_dataset(root)
    assert isinstance(source, VocData)
    assert (source.root, source.name) == (devkit, root.name)
    assert open_dataset(devkit).name == "VOC2009"


def test_competition_has_precedence(devkit):
    (devkit / "train").mkdir()
    (devkit / "train" / "train_set.csv").write_text("")
    assert isinstance(open_dataset(devkit), CompetitionData)


def test_name_of_the_working_folder(devkit, monkeypatch):
    monkeypatch.chdir(devkit)
    assert open_dataset(Path(".")).name == "VOC2009"


def test_path_that_is_not_a_folder(tmp_path):
    with pytest.raises(DataError, match=r"none is not a folder: `vocctl download voc2009 --out"):
        open_dataset(tmp_path / "none")
    (tmp_path / "file.tar").write_text("")
    with pytest.raises(DataError, match=r"file\.tar is a file: unpack it and name its folder as --data"):
        open_dataset(tmp_path / "file.tar")


def test_folder_of_no_known_format(tmp_path):
    with pytest.raises(DataError, match=r"is not a data set: expected train/train_set\.csv .* or VOCdevkit/.*download"):
        open_dataset(tmp_path)


@dataclass(frozen=True)
class FlatFolder:
    """A format of this test: <split>/<id>.jpg beside <split>/<id>.png, whose classes are the labels."""

    root: Path
    layout: str = "flat folder"
    test_split: str = "val"
    has_public_test_masks: bool = True

    @property
    def name(self) -> str:
        return self.root.name

    def splits(self) -> tuple[str, ...]:
        return ("train", "val")

    def ids(self, split: str) -> list[str]:
        return [f"{split}-{path.stem}" for path in sorted((self.root / split).glob("*.jpg"))]

    def image_path(self, image_id: str) -> Path:
        split, _, stem = image_id.partition("-")
        return self.root / split / f"{stem}.jpg"

    def mask_path(self, image_id: str) -> Path | None:
        return self.image_path(image_id).with_suffix(".png")

    def image(self, image_id: str) -> np.ndarray:
        return read_image(self.image_path(image_id))

    def mask(self, image_id: str) -> np.ndarray:
        return read_mask(self.image_path(image_id).with_suffix(".png"))

    def label_splits(self) -> tuple[str, ...]:
        return self.splits()

    def labels(self, split: str) -> dict[str, np.ndarray]:
        return {image_id: classes_in_mask(self.mask(image_id)).astype(np.uint8) for image_id in self.ids(split)}

    def test_ids(self) -> dict[str, str]:
        return {image_id: image_id for image_id in self.ids("val")}

    def test_truth(self, image_ids: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return ((classes_in_mask(self.mask(image_id)), self.mask(image_id)) for image_id in image_ids)

    def split_files(self) -> list[SplitFile]:
        return [SplitFile(split, self.root / split, True) for split in self.splits()]

    def listed_ids(self, split_file: SplitFile) -> list[str]:
        return self.ids(split_file.name)

    def label_problems(self) -> Iterator[Problem]:
        return iter(())


@pytest.fixture
def flat_folder(tmp_path: Path) -> Path:
    """Two training images, of classes 1 and 2, and one validation image of class 2."""
    for split, labels in {"train": (1, 2), "val": (2,)}.items():
        (tmp_path / "flat" / split).mkdir(parents=True)
        for number, label in enumerate(labels):
            Image.new("RGB", (40, 32), (10 * label, 0, 0)).save(tmp_path / "flat" / split / f"{number}.jpg")
            write_mask(tmp_path / "flat" / split / f"{number}.png", np.full((32, 40), label))
    return tmp_path / "flat"


def test_row_in_the_table_adds_a_format(flat_folder, monkeypatch):
    with pytest.raises(DataError, match="is not a data set"):
        open_dataset(flat_folder)
    row = DataFormat("flat folder", lambda root: (root / "val").is_dir(), FlatFolder, "train and val")
    monkeypatch.setattr(module, "FORMATS", (*module.FORMATS, row))
    assert open_dataset(flat_folder).layout == "flat folder"
    config = DataConfig(path=str(flat_folder), size=32)
    segmentation, classification = open_seg_splits(config), open_cls_splits(config)
    assert segmentation.train.images.ids == classification.train.images.ids == ("train-0", "train-1")
    assert (segmentation.val.images.original_mask(0) == 2).all()
    assert [np.flatnonzero(row).tolist() for row in classification.train.targets] == [[0], [1]]
    assert np.array_equal(segmentation.train.targets, classification.train.targets)
    report = audit(flat_folder)
    assert (report.layout, report.splits, report.problems) == ("flat folder", {"train": 2, "val": 1}, ())


def test_audit_of_an_added_format_finds_a_mask_of_other_size(flat_folder, monkeypatch):
    row = DataFormat("flat folder", lambda root: (root / "val").is_dir(), FlatFolder, "train and val")
    monkeypatch.setattr(module, "FORMATS", (*module.FORMATS, row))
    write_mask(flat_folder / "val" / "0.png", np.full((32, 32), 2))
    (problem,) = audit(flat_folder).problems
    assert "is 32 x 32 pixels, its image 40 x 32" in problem.reason
