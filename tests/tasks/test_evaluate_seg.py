"""Evaluation: the scores are those of the label maps it writes, at the images' own size."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vocctl.config import TrainSegConfig, given
from vocctl.data.images import read_mask
from vocctl.data.source import open_dataset
from vocctl.errors import ConfigError, DataError
from vocctl.labels import FLAT_PALETTE, SEG_CLASSES
from vocctl.metrics.dice import competition_dice
from vocctl.tasks.evaluate_seg import evaluate
from vocctl.tasks.train_seg import run


@pytest.fixture
def trained(tiny: Path, tmp_path: Path) -> Path:
    small = {"encoder": "scratch", "widths": (16, 16, 16), "size": 64, "batch": 4, "epochs": 4, "precision": "fp32"}
    config = given(TrainSegConfig(), path=str(tiny), lr=0.003, encoder_lr=1.0, ema=0.0, **small)
    return run(config, tmp_path / "run").run


def test_written_label_maps_read_back_and_give_the_same_scores_as_torchmetrics(trained: Path, tiny: Path) -> None:
    from torchmetrics.classification import MulticlassF1Score, MulticlassJaccardIndex

    result = evaluate(str(trained), checkpoint="final")
    source = open_dataset(tiny)
    settings = {"num_classes": 21, "average": "none", "ignore_index": 255}
    iou, dice = MulticlassJaccardIndex(**settings), MulticlassF1Score(**settings)
    competition = []
    for image_id in source.ids("val"):
        path = result.folder / "labels" / f"{image_id}.png"
        with Image.open(path) as image:
            assert image.mode == "P"
            assert image.getpalette() == FLAT_PALETTE
            assert image.size == (32, 32)  # the image's own size, not the 64 px it was scored at
        predicted, truth = read_mask(path), source.mask(image_id)
        for metric in (iou, dice):
            metric.update(torch.from_numpy(predicted.copy())[None].long(), torch.from_numpy(truth.copy())[None].long())
        competition.append(competition_dice(predicted, truth))
    for place, name in enumerate(SEG_CLASSES):
        if not np.isnan(result.scores.iou[name]):  # torchmetrics says 0 where there is neither truth nor prediction
            assert result.scores.iou[name] == pytest.approx(iou.compute()[place].item(), abs=1e-6)
            assert result.scores.dice[name] == pytest.approx(dice.compute()[place].item(), abs=1e-6)
    assert result.competition_dice == pytest.approx(np.mean(competition))
    present = [result.scores.iou[name] for name in ("background", "aeroplane", "bicycle")]
    assert result.scores.mean_iou == pytest.approx(np.mean(present))


def test_the_folder_holds_scores_and_a_confusion_that_agree(trained: Path) -> None:
    result = evaluate(str(trained), split="train")
    assert result.folder == trained / "eval" / "tiny-train"
    scores = json.loads((result.folder / "scores.json").read_text())
    assert scores["scores"]["mean_iou"] == result.scores.mean_iou
    rows = list(csv.reader((result.folder / "confusion.csv").open()))
    confusion = np.array([row[1:] for row in rows[1:]], dtype=np.int64)
    labeled = sum(int((open_dataset(trained.parent / "tiny").mask(i) != 255).sum()) for i in scores["image_iou"])
    assert confusion.sum() == labeled
    assert np.trace(confusion) / labeled == pytest.approx(result.scores.pixel_accuracy)
    assert not list((trained / "eval").glob("*.part"))


@pytest.mark.parametrize("tta", ["flip", "ms"])
def test_tta_scores_too_and_the_second_evaluation_takes_the_first_ones_place(trained: Path, tta: str) -> None:
    evaluate(str(trained))
    assert evaluate(str(trained), tta=tta).tta == tta
    assert json.loads((trained / "eval" / "tiny-val" / "scores.json").read_text())["tta"] == tta


def test_validation_in_training_and_evaluation_agree(trained: Path) -> None:
    last = json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])
    assert evaluate(str(trained), checkpoint="final").scores.mean_iou == pytest.approx(last["mean_iou"], abs=1e-9)


def test_what_cannot_be_scored_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="best or final"):
        evaluate(str(trained), checkpoint="last")
    with pytest.raises(DataError, match="is no folder"):
        evaluate(str(trained), data=tmp_path / "nowhere")
    (trained / "best.safetensors").write_bytes(b"not tensors")
    with pytest.raises(DataError, match=r"best\.safetensors does not fit"):
        evaluate(str(trained))
