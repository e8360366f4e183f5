"""The competition's layout from a devkit: what each part holds, and what it keeps aside."""

import numpy as np
import pytest

from vocctl.competition.mock_competition import build_competition
from vocctl.data.audit import audit
from vocctl.data.competition import CompetitionData, read_table
from vocctl.data.source import open_dataset
from vocctl.errors import DataError
from vocctl.labels import CLASSES


def test_every_file_is_the_devkits(tiny, tmp_path):
    seen = []
    build_competition(tmp_path / "comp", tiny, lambda done, total: seen.append((done, total)))
    devkit, built = open_dataset(tiny), open_dataset(tmp_path / "comp")
    assert isinstance(built, CompetitionData)
    assert built.ids("trainval") == [f"train_{number}" for number in range(8)]
    assert built.ids("test") == [f"test_{number}" for number in range(4)]
    for split, part in (("train", "train"), ("val", "test")):
        for number, image_id in enumerate(devkit.ids(split)):
            assert (built.image(f"{part}_{number}") == devkit.image(image_id)).all()
            mask = devkit.mask(image_id)
            there = built.mask(f"train_{number}") if part == "train" else built.test_truth(f"test_{number}")
            assert (there == np.where(mask == 255, 0, mask)).all()
            assert (mask == 255).any()  # there was void to map
    assert seen[-1] == (12, 12)
    assert audit(tmp_path / "comp").problems == ()


def test_labels_are_the_classes_in_the_masks_and_the_test_table_has_none(tiny, tmp_path):
    build_competition(tmp_path / "comp", tiny)
    train = read_table(tmp_path / "comp" / "train" / "train_set.csv")
    assert [CLASSES[row.index(1)] for row in train.values()] == ["aeroplane", "bicycle"] * 4
    assert set(np.ravel(list(read_table(tmp_path / "comp" / "test" / "test_set.csv").values()))) == {-1}
    solution = CompetitionData(tmp_path / "comp").test_labels()
    assert [CLASSES[row.argmax()] for row in solution.values()] == ["aeroplane", "bicycle"] * 2


def test_the_solution_is_in_no_split(tiny, tmp_path):
    build_competition(tmp_path / "comp", tiny)
    source = CompetitionData(tmp_path / "comp")
    with pytest.raises(DataError, match="has no mask"):
        source.mask("test_0")


def test_a_folder_without_a_solution_says_where_to_get_one(tiny, tmp_path):
    build_competition(tmp_path / "comp", tiny)
    (tmp_path / "comp" / "solution" / "test_set.csv").unlink()
    with pytest.raises(DataError, match=r"holds no solution.*--truth"):
        CompetitionData(tmp_path / "comp").test_labels()


def test_a_image_on_both_sides(tiny, tmp_path):
    lists = tiny / "VOCdevkit" / "VOC2009" / "ImageSets" / "Segmentation"
    (lists / "val.txt").write_text((lists / "train.txt").read_text())
    with pytest.raises(DataError, match="tiny_000 in train and in val"):
        build_competition(tmp_path / "comp", tiny)
    assert not (tmp_path / "comp").exists()


def test_a_broken_mask_leaves_nothing(tiny, tmp_path):
    (tiny / "VOCdevkit" / "VOC2009" / "SegmentationClass" / "tiny_009.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="tiny_009"):
        build_competition(tmp_path / "comp", tiny)
    assert [path.name for path in tmp_path.iterdir() if "comp" in path.name] == []


def test_the_competitions_own_layout_is_no_tree(tiny, tmp_path):
    build_competition(tmp_path / "comp", tiny)
    with pytest.raises(DataError, match="already"):
        build_competition(tmp_path / "again", tmp_path / "comp")
