"""Data sets that vocctl writes are read back unchanged."""

import numpy as np
import pytest

from vocctl.data.audit import audit
from vocctl.data.devkit import MANIFEST, write_devkit
from vocctl.data.source import open_dataset
from vocctl.errors import RunError
from vocctl.files import read_json
from vocctl.labels import IGNORE

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 3), np.uint8)
MASKS = np.resize(np.array([0, 3, 20, IGNORE], np.uint8), (2, 6, 8))


def test_segmentation_data_set(tmp_path):
    root = write_devkit(tmp_path / "out", "val", ["a", "b"], IMAGES, masks=MASKS, manifest={"eps": "8/255"})
    source = open_dataset(root)
    assert source.ids("val") == ["a", "b"]
    for index, image_id in enumerate(["a", "b"]):
        assert np.array_equal(source.image(image_id), IMAGES[index])
        assert np.array_equal(source.mask(image_id), MASKS[index])
    assert read_json(root / MANIFEST) == {"eps": "8/255"}
    assert audit(root).problems == ()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_classification_data_set(tmp_path):
    targets = np.zeros((2, 20), np.uint8)
    targets[0, 3], targets[1, 19], targets[1, 0] = 1, 1, IGNORE
    root = write_devkit(tmp_path / "out", "test", ["a", "b"], IMAGES, targets=targets)
    labels = open_dataset(root).labels("test")
    assert list(labels) == ["a", "b"]
    assert np.array_equal(np.stack(list(labels.values())), targets)
    assert not (root / MANIFEST).exists()


def test_existing_data_set_is_replaced_only_by_a_complete_one(tmp_path):
    root = write_devkit(tmp_path / "out", "val", ["a", "b"], IMAGES, masks=MASKS)
    with pytest.raises(ValueError, match="zip"):  # fewer masks than images
        write_devkit(root, "val", ["a", "b"], IMAGES, masks=MASKS[:1])
    assert np.array_equal(open_dataset(root).mask("b"), MASKS[1])
    assert open_dataset(write_devkit(root, "val", ["c"], IMAGES[:1], masks=MASKS[:1])).ids("val") == ["c"]
    assert not (root / "JPEGImages" / "a.png").exists()  # the old data set is removed, not added to


def test_folder_that_cannot_be_created_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be created"):
        write_devkit(tmp_path / "file" / "out", "val", ["a"], IMAGES[:1], masks=MASKS[:1])
