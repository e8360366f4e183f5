"""The competition's folder built from a devkit: what each part holds, and where the solution is."""

import numpy as np
import pytest

from vocctl.competition.mock_competition import build_competition
from vocctl.data.audit import audit
from vocctl.data.competition import CompetitionData, read_table
from vocctl.data.source import open_dataset
from vocctl.errors import DataError
from vocctl.labels import CLASSES


def test_images_and_masks_are_those_of_the_devkit(tiny, tmp_path):
    progress = []
    build_competition(tmp_path / "comp", tiny, lambda done, total: progress.append((done, total)))
    devkit, built = open_dataset(tiny), open_dataset(tmp_path / "comp")
    assert isinstance(built, CompetitionData)
    assert built.ids("trainval") == [f"train_{number}" for number in range(8)]
    assert built.ids("test") == [f"test_{number}" for number in range(4)]
    for split, part in (("train", "train"), ("val", "test")):
        for number, image_id in enumerate(devkit.ids(split)):
            assert (built.image(f"{part}_{number}") == devkit.image(image_id)).all()
            mask = devkit.mask(image_id)
            built_mask = (
                built.mask(f"train_{number}") if part == "train" else next(built.test_truth([f"test_{number}"]))[1]
            )
            assert (built_mask == np.where(mask == 255, 0, mask)).all()
            assert (mask == 255).any()
    assert progress[-1] == (12, 12)
    assert audit(tmp_path / "comp").problems == ()


def test_labels_are_the_classes_in_the_masks_and_the_test_table_has_none(tiny, tmp_path):
    build_competition(tmp_path / "comp", tiny)
    train = read_table(tmp_path / "comp" / "train" / "train_set.csv")
    assert [CLASSES[row.index(1)] for row in train.values()] == ["aeroplane", "bicycle"] * 4
    assert set(np.ravel(list(read_table(tmp_path / "comp" / "test" / "test_set.csv").values()))) == {-1}
    source = CompetitionData(tmp_path / "comp")
    solution = source.test_truth(source.ids("test"))
    assert [CLASSES[classes.argmax()] for classes, _ in solution] == ["aeroplane", "bicycle"] * 2


def test_the_solution_is_not_part_of_a_split(tiny, tmp_path):
    build_competition(tmp_path / "comp", tiny)
    source = CompetitionData(tmp_path / "comp")
    with pytest.raises(DataError, match="has no mask"):
        source.mask("test_0")


def test_a_folder_without_a_solution_says_how_to_get_one(tiny, tmp_path):
    build_competition(tmp_path / "comp", tiny)
    (tmp_path / "comp" / "solution" / "test_set.csv").unlink()
    with pytest.raises(DataError, match=r"solution.*--truth"):
        next(CompetitionData(tmp_path / "comp").test_truth(["test_0"]))


def test_an_image_in_train_and_val_is_refused(tiny, tmp_path):
    lists = tiny / "VOCdevkit" / "VOC2009" / "ImageSets" / "Segmentation"
    (lists / "val.txt").write_text((lists / "train.txt").read_text())
    with pytest.raises(DataError, match=r"tiny_000 in train\.txt and in val\.txt"):
        build_competition(tmp_path / "comp", tiny)
    assert not (tmp_path / "comp").exists()


def test_a_corrupt_mask_leaves_no_partial_folder(tiny, tmp_path):
    (tiny / "VOCdevkit" / "VOC2009" / "SegmentationClass" / "tiny_009.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match="tiny_009"):
        build_competition(tmp_path / "comp", tiny)
    assert [path.name for path in tmp_path.iterdir() if "comp" in path.name] == []


def test_a_competition_folder_is_not_a_devkit(tiny, tmp_path):
    build_competition(tmp_path / "comp", tiny)
    with pytest.raises(DataError, match="already has the competition's layout"):
        build_competition(tmp_path / "again", tmp_path / "comp")
