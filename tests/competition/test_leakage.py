"""Which runs are refused: test images among their own images or those of their initial weights; and VOC weights."""

import shutil
from pathlib import Path

import pytest

from vocctl.competition.leakage import LeakageCheck, voc_weight_warnings
from vocctl.competition.test_set import open_test_set
from vocctl.config import DataConfig, TrainSegConfig, given
from vocctl.data.source import open_dataset
from vocctl.data.splits import open_seg_split
from vocctl.errors import ConfigError, DataError
from vocctl.runs.folder import RunFolder, create_run


@pytest.fixture
def images(noisy_devkit: Path):
    """The test set."""
    return open_test_set(noisy_devkit)


def new_run(path: Path, data: Path, train: list[str], val: list[str], weights: str = "auto") -> RunFolder:
    config = given(TrainSegConfig(), path=str(data), encoder="resnet18", weights=weights)
    run = create_run(path, "train-seg", config)
    run.write_json("split.json", {"train": train, "val": val})
    return run


def test_training_and_validation_images_count(images, noisy_devkit, tmp_path):
    train_ids, test_ids = open_dataset(noisy_devkit).ids("train"), list(images.image_ids)
    clean = new_run(tmp_path / "clean", noisy_devkit, train_ids[:16], train_ids[16:])
    assert LeakageCheck(images, allow=False).check([clean]) == []
    trained = new_run(tmp_path / "trained", noisy_devkit, test_ids[:2], train_ids)
    validated = new_run(tmp_path / "validated", noisy_devkit, train_ids, test_ids[:3])
    for run, count in ((trained, 2), (validated, 3)):
        problem = f"{run.path} was trained or validated on {count} of the competition's test images"
        with pytest.raises(ConfigError, match=problem):
            LeakageCheck(images, allow=False).check([clean, run])
        assert LeakageCheck(images, allow=True).check([clean, run]) == [problem]


def test_trainaug_images_count(images, noisy_devkit, tmp_path):
    """VOC2012's train and SBD have images of VOC2009's val, which are the test images. They are found by their content."""
    train_ids, test_ids = open_dataset(noisy_devkit).ids("train"), list(images.image_ids)
    shutil.copytree(noisy_devkit, tmp_path / "voc2012")
    (year,) = (tmp_path / "voc2012" / "VOCdevkit").iterdir()
    devkit = year.rename(year.with_name("VOC2012"))
    trainaug = [*train_ids[:4], *test_ids[:3]]
    (devkit / "ImageSets/Segmentation/trainaug.txt").write_text("\n".join(trainaug) + "\n")
    (devkit / "SegmentationClassAug").mkdir()
    for image_id in test_ids[:3]:  # VOC has not annotated them in this devkit
        (devkit / "SegmentationClass" / f"{image_id}.png").rename(devkit / "SegmentationClassAug" / f"{image_id}.png")
    config = DataConfig(path=str(tmp_path / "voc2012"), cache_dir=str(tmp_path / "cache"), size=32)
    split = open_seg_split(open_dataset(tmp_path / "voc2012"), "trainaug", config)
    run = new_run(tmp_path / "run", tmp_path / "voc2012", list(split.images.ids), train_ids[4:])
    assert LeakageCheck(images, allow=True).leaked_images(run) == test_ids[:3]
    with pytest.raises(ConfigError, match=f"{run.path} was trained or validated on 3 of the competition's test images"):
        LeakageCheck(images, allow=False).check([run])


def test_images_of_the_initial_weights_run_count(images, noisy_devkit, tmp_path):
    train_ids = open_dataset(noisy_devkit).ids("train")
    new_run(tmp_path / "leaky", noisy_devkit, train_ids, list(images.image_ids))
    weights = str(tmp_path / "leaky" / "best.safetensors")
    run = new_run(tmp_path / "run", noisy_devkit, train_ids[:16], train_ids[16:], weights)
    with pytest.raises(ConfigError, match=f"{run.path} was trained or validated on 6 of"):
        LeakageCheck(images, allow=False).check([run])


def test_a_run_whose_data_are_missing_is_refused(images, tmp_path):
    run = new_run(tmp_path / "run", tmp_path / "missing", ["a"], ["b"])
    with pytest.raises(DataError, match=r"cannot determine whether .*run was trained.*--allow-test-images"):
        LeakageCheck(images, allow=False).check([run])
    (warning,) = LeakageCheck(images, allow=True).check([run])
    assert "cannot determine" in warning


@pytest.mark.parametrize(
    ("weights", "is_voc"),
    [("auto", False), ("none", False), ("deeplabv3_coco_voc.pth", True), ("pascal_r50.safetensors", True),
     ("invoccation.pth", False)],
)  # fmt: skip
def test_weights_named_after_voc(tmp_path, weights, is_voc):
    run = new_run(tmp_path / "run", tmp_path, [], [], weights)
    assert [weights in warning for warning in voc_weight_warnings([run])] == [True] * is_voc


def test_initial_weights_of_a_run_on_another_data_set(tmp_path):
    new_run(tmp_path / "voc", tmp_path / "voc2009", [], [])
    weights = str(tmp_path / "voc" / "best.safetensors")
    (warning,) = voc_weight_warnings([new_run(tmp_path / "other", tmp_path / "h02a5a", [], [], weights)])
    assert f"those of {tmp_path / 'voc'}, trained on {tmp_path / 'voc2009'}" in warning
    assert voc_weight_warnings([new_run(tmp_path / "same", tmp_path / "voc2009", [], [], weights)]) == []
