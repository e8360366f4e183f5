"""Evaluation folders: what is written is read back, and corrupt files are named."""

import json
import os
from dataclasses import replace
from math import isnan, nan
from pathlib import Path

import numpy as np
import pytest

from vocctl.errors import DataError, RunError
from vocctl.labels import CLASSES, SEG_CLASSES
from vocctl.runs.cls_evaluation import ClsEvaluation, ClsPredictions, write_cls_evaluation
from vocctl.runs.eval_files import EvalInfo
from vocctl.runs.evaluations import newest_common_evaluation, open_evaluation
from vocctl.runs.kinds import CLS, SEG
from vocctl.runs.seg_evaluation import SegEvaluation, write_label_map, write_seg_evaluation


def eval_info(folder: Path, num_images: int) -> EvalInfo:
    return EvalInfo(
        folder=folder, data="voc", split="val", checkpoint="best", tta="none", num_images=num_images,
        data_path=str(folder), fingerprint="f",
    )  # fmt: skip


def seg_evaluation(run: Path, name: str = "voc-val") -> tuple[SegEvaluation, np.ndarray]:
    """Image a: 3 background pixels and 1 cat pixel, all correct. Image b: 2 cat pixels predicted as dog."""
    cat, dog = SEG_CLASSES.index("cat"), SEG_CLASSES.index("dog")
    confusions = np.zeros((2, 21, 21), np.int64)
    confusions[0, 0, 0], confusions[0, cat, cat], confusions[1, cat, dog] = 3, 1, 2
    iou = dict.fromkeys(SEG_CLASSES, nan) | {"background": 1.0, "cat": 1 / 3, "dog": 0.0}
    evaluation = SegEvaluation(
        info=eval_info(run / "eval" / name, 2),
        scores={"mean_iou": 2 / 3, "mean_dice": 0.75},
        per_class={"iou": iou, "dice": iou},
        absent_classes=tuple(name for name in SEG_CLASSES if name not in ("background", "cat")),
        image_iou={"a": 1.0, "b": 0.0},
    )
    return evaluation, confusions


def write_seg(run: Path, name: str = "voc-val") -> SegEvaluation:
    evaluation, confusions = seg_evaluation(run, name)
    folder = evaluation.info.folder
    folder.mkdir(parents=True)
    write_label_map(folder, "a", np.array([[0, 0], [0, 8]], np.uint8))
    write_seg_evaluation(folder, evaluation, confusions)
    return evaluation


def write_cls(run: Path) -> tuple[ClsEvaluation, ClsPredictions]:
    """Image a: cat (0.9) correct, dog difficult. Image b: dog (0.2) missed, cat (0.7) a false positive."""
    cat, dog = CLASSES.index("cat"), CLASSES.index("dog")
    probs, targets = np.full((2, 20), 0.1), np.zeros((2, 20), np.uint8)
    probs[:, cat], probs[1, dog] = (0.9, 0.7), 0.2
    targets[0, cat], targets[0, dog], targets[1, dog] = 1, 255, 1
    predictions = ClsPredictions(("a", "b"), probs, probs > 0.5, targets)
    by_class = dict.fromkeys(CLASSES, nan) | {"cat": 1.0, "dog": 0.5}
    evaluation = ClsEvaluation(
        info=eval_info(run / "eval" / "voc-val", 2),
        members=(str(run),),
        thresholds="0.5",
        threshold_source="no fit",
        positives=dict.fromkeys(CLASSES, 0) | {"cat": 1, "dog": 1},
        scores={"map_sklearn": 0.75, "micro_recall": nan},
        per_class={"ap_sklearn": by_class, "f1": by_class},
        intervals={"map_sklearn": (0.5, 1.0)},
    )
    write_cls_evaluation(evaluation, predictions)
    return evaluation, predictions


def test_a_segmenters_evaluation_is_read_back(tmp_path: Path) -> None:
    written = write_seg(tmp_path)
    read = open_evaluation(tmp_path, SEG, "voc-val")
    assert read.to_json()["scores"] == written.scores
    assert (read.info, read.main_score, read.image_ids) == (written.info, 2 / 3, ("a", "b"))
    assert read.absent_classes == written.absent_classes
    assert isnan(read.class_scores["bird"])
    confusions = seg_evaluation(tmp_path)[1]
    assert np.array_equal(read.image_confusions, confusions)
    assert np.array_equal(read.confusion, confusions.sum(0))
    assert read.worst_first() == ["b", "a"]
    assert read.label_map("a", (2, 2)).tolist() == [[0, 0], [0, 8]]
    with pytest.raises(DataError, match="does not fit its image"):
        read.label_map("a", (2, 3))


def test_frequencies_and_resamples_of_a_segmenter(tmp_path: Path) -> None:
    write_seg(tmp_path)
    evaluation = open_evaluation(tmp_path, SEG, None)
    frequencies = evaluation.class_frequencies()
    assert (frequencies["images"]["cat"], frequencies["images"]["dog"]) == (2, 0)
    assert frequencies["% of pixels"]["background"] == 50  # 3 of 6
    # image a twice, then image b twice: the cat's IoU is 1 and 0
    resampled = evaluation.resampled_class_scores(np.array([[2, 0], [0, 2], [1, 1]]))
    assert resampled[:, SEG_CLASSES.index("cat")].tolist() == [1, 0, 1 / 3]
    assert np.isnan(resampled[0, SEG_CLASSES.index("dog")])
    present = [name for name, keep in zip(SEG_CLASSES, evaluation.classes_in_mean(), strict=True) if keep]
    assert present == ["background", "cat"]


def test_a_classifiers_evaluation_is_read_back(tmp_path: Path) -> None:
    written, predictions = write_cls(tmp_path)
    read = open_evaluation(tmp_path, CLS, None)
    assert replace(read, scores=written.scores, per_class=written.per_class) == written
    assert isnan(read.scores["micro_recall"])
    assert (read.main_score, read.class_scores["dog"], read.image_ids) == (0.75, 0.5, ("a", "b"))
    for name in ("probs", "predicted", "targets"):
        assert np.array_equal(getattr(read.predictions, name), getattr(predictions, name))
    assert read.class_frequencies()["images"]["dog"] == 1


def test_errors_of_a_classifier_are_written(tmp_path: Path) -> None:
    evaluation, _ = write_cls(tmp_path)
    lines = (evaluation.info.folder / "errors.csv").read_text().splitlines()
    assert lines[1:] == ["false positive,cat,b,0.7000,cat,dog", "false negative,dog,b,0.2000,cat,dog"]
    rows = (evaluation.info.folder / "confused_with.csv").read_text().splitlines()
    assert rows[0].startswith("false negative \\ false positive,aeroplane")
    counts = {row.split(",")[0]: row.split(",")[1:] for row in rows[1:]}
    assert counts["dog"][CLASSES.index("cat")] == "1"
    assert sum(int(count) for row in counts.values() for count in row) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"scores": None},
        {"scores": {}},
        {"scores": {"mean_iou": "high"}},
        {"scores": {"mean_iou": True}},
        {"scores": {"mean_iou": 0.5, "unknown": 0.5}},
        {"per_class": {"iou": {}}},
        {"per_class": {}},
        {"image_iou": ["a"]},
        {"split": 3},
        {"num_images": None},
        {"absent_classes": None},
    ],
)
def test_error_names_the_corrupt_scores(tmp_path: Path, change: dict) -> None:
    path = write_seg(tmp_path).info.folder / "scores.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=r"scores\.json cannot be read: run `vocctl eval"):
        open_evaluation(tmp_path, SEG, None)


def test_scores_of_the_other_kind_are_refused(tmp_path: Path) -> None:
    write_seg(tmp_path)
    with pytest.raises(DataError, match=r"scores\.json cannot be read"):
        open_evaluation(tmp_path, CLS, None)


@pytest.mark.parametrize("name", ["confusion.csv", "images.csv"])
@pytest.mark.parametrize(
    "text", [None, "", "id,true,predicted,pixels\na,cat,unicorn,1\n", "a,b\nc,99999999999999999999\n"]
)
def test_error_names_the_corrupt_counts(tmp_path: Path, name: str, text: str | None) -> None:
    path = write_seg(tmp_path).info.folder / name
    path.unlink() if text is None else path.write_text(text)
    evaluation = open_evaluation(tmp_path, SEG, None)
    with pytest.raises(DataError, match=rf"{name} is missing or corrupt: run `vocctl eval {tmp_path}` again"):
        _ = evaluation.confusion if name == "confusion.csv" else evaluation.image_confusions


def test_error_names_the_corrupt_predictions(tmp_path: Path) -> None:
    path = write_cls(tmp_path)[0].info.folder / "predictions.csv"
    path.write_text(path.read_text().replace("dog", "unicorn"))
    with pytest.raises(DataError, match=r"predictions\.csv is missing or corrupt"):
        _ = open_evaluation(tmp_path, CLS, None).predictions


def test_the_newest_evaluation_that_all_runs_have_is_found(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for run, name, time in (
        (first, "voc-val", 1), (first, "voc-test", 2), (first, "voc-test-ensemble", 3), (second, "voc-val", 4)
    ):  # fmt: skip
        path = write_seg(run, name).info.folder / "scores.json"
        os.utime(path, (time, time))
    assert open_evaluation(first, SEG, None).info.name == "voc-test"
    assert newest_common_evaluation([first, second]) == "voc-val"
    assert newest_common_evaluation([second, first]) == "voc-val"
    assert open_evaluation(tmp_path / "none", SEG, None) is None
    with pytest.raises(DataError, match="has no evaluation 'voc-vla', did you mean voc-val"):
        open_evaluation(first, SEG, "voc-vla")
    with pytest.raises(DataError, match="has no evaluation 'x': it has no evaluations"):
        open_evaluation(tmp_path / "none", SEG, "x")


def test_error_names_the_label_map_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"a\.png cannot be written: No such file or directory"):
        write_label_map(tmp_path / "missing", "a", np.zeros((2, 2), np.uint8))
