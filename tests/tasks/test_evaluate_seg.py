"""Evaluating segmenters: the scores are those of the label maps that are written, at the images' original sizes."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vocctl.config import EvalOptions, TrainSegConfig, given
from vocctl.data.images import read_mask
from vocctl.data.source import open_dataset
from vocctl.errors import DataError
from vocctl.labels import FLAT_PALETTE, SEG_CLASSES
from vocctl.metrics.dice import competition_dice
from vocctl.tasks.evaluate_seg import evaluate
from vocctl.tasks.train_seg import run


@pytest.fixture
def trained(tiny: Path, tmp_path: Path) -> Path:
    small = {"encoder": "scratch", "widths": (16, 16, 16), "size": 64, "batch": 4, "epochs": 4, "precision": "fp32"}
    config = given(TrainSegConfig(), path=str(tiny), lr=0.003, encoder_lr=1.0, ema=0.0, **small)
    return run(config, tmp_path / "run").run


def test_written_label_maps_give_the_same_scores_with_torchmetrics(trained: Path, tiny: Path) -> None:
    from torchmetrics.classification import MulticlassF1Score, MulticlassJaccardIndex

    evaluation = evaluate(str(trained), EvalOptions(checkpoint="final"))
    source = open_dataset(tiny)
    settings = {"num_classes": 21, "average": "none", "ignore_index": 255}
    iou, dice = MulticlassJaccardIndex(**settings), MulticlassF1Score(**settings)
    competition = []
    for image_id in source.ids("val"):
        path = evaluation.info.folder / "labels" / f"{image_id}.png"
        with Image.open(path) as image:
            assert image.mode == "P"
            assert image.getpalette() == FLAT_PALETTE
            assert image.size == (32, 32)  # the original size; the model's input size is 64
        predicted, mask = read_mask(path), source.mask(image_id)
        for metric in (iou, dice):
            metric.update(torch.from_numpy(predicted.copy())[None].long(), torch.from_numpy(mask.copy())[None].long())
        competition.append(competition_dice(predicted, mask))
    class_iou, class_dice = evaluation.per_class["iou"], evaluation.per_class["dice"]
    for label, name in enumerate(SEG_CLASSES):
        if not np.isnan(class_iou[name]):  # torchmetrics returns 0 for a class without ground truth and prediction
            assert class_iou[name] == pytest.approx(iou.compute()[label].item(), abs=1e-6)
            assert class_dice[name] == pytest.approx(dice.compute()[label].item(), abs=1e-6)
    assert evaluation.scores["competition_dice"] == pytest.approx(np.mean(competition))
    present = [class_iou[name] for name in ("background", "aeroplane", "bicycle")]
    assert evaluation.scores["mean_iou"] == pytest.approx(np.mean(present))


def test_written_confusions_agree_with_the_written_scores(trained: Path) -> None:
    evaluation = evaluate(str(trained), EvalOptions(split="train"))
    folder = evaluation.info.folder
    assert folder == trained / "eval" / "tiny-train"
    written = json.loads((folder / "scores.json").read_text())
    assert written["scores"]["mean_iou"] == evaluation.main_score
    undefined = {name for name, iou in evaluation.per_class["iou"].items() if np.isnan(iou)}
    assert {name for name, iou in written["per_class"]["iou"].items() if iou is None} == undefined
    rows = list(csv.reader((folder / "confusion.csv").open()))
    assert rows[0] == ["true \\ predicted", *SEG_CLASSES]
    confusion = np.array([row[1:] for row in rows[1:]], dtype=np.int64)
    source = open_dataset(trained.parent / "tiny")
    num_labeled = sum(int((source.mask(image_id) != 255).sum()) for image_id in written["image_iou"])
    assert confusion.sum() == num_labeled
    assert np.trace(confusion) / num_labeled == pytest.approx(written["scores"]["pixel_accuracy"])
    assert not list((trained / "eval").glob("*.part"))


def test_evaluations_stand_beside_each_other(
    trained: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same one again replaces its folder, from every working folder and after a move of the data."""
    shutil.copytree(tiny, tmp_path / "other" / "tiny")
    all_options = [
        EvalOptions(), EvalOptions(tta="flip"), EvalOptions(tta="ms", checkpoint="final"), EvalOptions(split="train"),
        EvalOptions(data=tmp_path / "other" / "tiny"),
    ]  # fmt: skip
    names = [evaluate(str(trained), options).info.name for options in all_options]
    assert names == ["tiny-val", "tiny-val-flip", "tiny-val-final-ms", "tiny-train", "tiny-val-2"]
    monkeypatch.chdir(tmp_path / "other")
    assert evaluate(str(trained), EvalOptions(data=Path("tiny"))).info.name == "tiny-val-2"
    assert sorted(path.name for path in (trained / "eval").iterdir()) == sorted(names)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").rename(tmp_path / "moved")
    assert evaluate(str(trained), EvalOptions(data=tmp_path / "moved" / "tiny")).info.name == "tiny-val-2"


def test_validation_during_training_and_evaluation_agree(trained: Path) -> None:
    last = json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])
    evaluation = evaluate(str(trained), EvalOptions(checkpoint="final"))
    assert evaluation.main_score == pytest.approx(last["mean_iou"], abs=1e-9)


def test_errors_name_missing_data_and_corrupt_weights(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        evaluate(str(trained), EvalOptions(data=tmp_path / "nowhere"))
    (trained / "best.safetensors").write_bytes(b"not tensors")
    with pytest.raises(DataError, match=r"best\.safetensors is corrupt"):
        evaluate(str(trained))
    assert not list((trained / "eval").glob("*"))
