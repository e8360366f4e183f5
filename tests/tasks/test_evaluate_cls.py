"""Evaluating classifiers: the files it leaves agree with its scores, ensembles average, comparisons are paired."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from vocctl.config import TrainClsConfig, given
from vocctl.data.multilabel import target_matrix, with_labels
from vocctl.data.source import open_dataset
from vocctl.errors import ConfigError, DataError
from vocctl.labels import CLASSES
from vocctl.tasks.evaluate_cls import as_json, compare, evaluate
from vocctl.tasks.train_cls import run


def trained(tiny: Path, out: Path, **flags: object) -> str:
    small = {"model": "scratch", "size": 32, "size_from": 0, "batch": 4, "epochs": 3, "precision": "fp32", "ema": 0.0}
    return str(run(given(TrainClsConfig(), path=str(tiny), **(small | flags)), out).run)


@pytest.fixture
def one(tiny: Path, tmp_path: Path) -> str:
    return trained(tiny, tmp_path / "one")


def predictions(folder: Path) -> tuple[list[str], np.ndarray, list[str]]:
    rows = list(csv.DictReader((folder / "predictions.csv").open()))
    probs = np.array([[float(row[name]) for name in CLASSES] for row in rows])
    return [row["id"] for row in rows], probs, [row["decided"] for row in rows]


def test_the_written_predictions_give_the_written_scores(one: str, tiny: Path) -> None:
    result = evaluate([one], split="trainval")
    ids, probs, decided = predictions(result.folder)
    targets = target_matrix(with_labels(open_dataset(tiny)), "trainval", tuple(ids))
    aps = [average_precision_score(targets[:, place], probs[:, place]) for place in (0, 1)]
    assert result.scores["map_sklearn"] == pytest.approx(np.mean(aps), abs=1e-9)
    chosen = np.array([[name in row.split() for name in CLASSES] for row in decided])
    expected = f1_score(targets, chosen, average="samples", zero_division=1)
    assert result.scores["sample_f1"] == pytest.approx(expected)
    assert result.scores["micro_f1"] == pytest.approx(f1_score(targets, chosen, average="micro"))
    written = json.loads((result.folder / "scores.json").read_text())
    assert written["scores"] == as_json(result)["scores"]
    assert written["ap"]["sklearn"]["cat"] is None
    assert all(row for row in decided)


def test_training_and_evaluation_agree(one: str) -> None:
    last = json.loads((Path(one) / "metrics.jsonl").read_text().splitlines()[-1])
    scores = evaluate([one], checkpoint="final", thresholds="0.5").scores
    for name in ("map_11_point", "map_all_points", "map_sklearn", "sample_f1"):
        assert scores[name] == pytest.approx(last[name], abs=1e-9)


def test_thresholds_are_never_judged_on_their_own_images(one: str, tiny: Path) -> None:
    assert "cross-fitted" in evaluate([one]).decided
    assert "cross-fitted" in evaluate([one], split="trainval").decided
    other = evaluate([one], split="train")
    assert other.decided == "fitted on the run's validation images"
    stored = json.loads((Path(one) / "thresholds.json").read_text())["best"]["global"]
    _, probs, decided = predictions(other.folder)
    for row, labels in zip(probs, decided, strict=True):
        reached = [name for name, p, t in zip(CLASSES, row, stored, strict=True) if p >= t]
        assert labels.split() == (reached or [CLASSES[int(row.argmax())]])


def test_an_ensemble_is_the_mean_of_probabilities(one: str, tiny: Path, tmp_path: Path) -> None:
    two = trained(tiny, tmp_path / "two", seed=1)
    ids, first, _ = predictions(evaluate([one]).folder)
    _, second, _ = predictions(evaluate([two]).folder)
    together = evaluate([one, two])
    assert together.folder.name == "tiny-val-ensemble"
    names, mean, _ = predictions(together.folder)
    assert names == ids
    assert np.allclose(mean, (first + second) / 2, atol=1e-9)


def test_a_comparison_is_paired(one: str, tiny: Path, tmp_path: Path) -> None:
    _, _, same = compare(one, one, resamples=50)
    assert [(row.low, row.high, row.p) for row in same] == [(0, 0, 1)] * 4
    good = trained(tiny, tmp_path / "good", epochs=25, lr=0.003, encoder_lr=1.0)
    first, second, rows = compare(one, good, resamples=200)
    for row in rows:
        assert row.first == first.scores[row.score]
        assert row.second == second.scores[row.score]
        assert row.low <= row.second - row.first + 1e-9
        assert row.high >= row.second - row.first - 1e-9


def test_intervals_hold_the_score(one: str) -> None:
    result = evaluate([one], split="trainval", ci=100)
    assert set(result.intervals) == {"map_11_point", "map_all_points", "map_sklearn", "sample_f1"}
    for name, (low, high) in result.intervals.items():
        assert low - 0.05 <= result.scores[name] <= high + 0.05
        assert low < high or low == high == result.scores[name]


def test_errors_are_the_surest_ones(one: str) -> None:
    result = evaluate([one], split="trainval", thresholds="0.5")
    rows = list(csv.DictReader((result.folder / "errors.csv").open()))
    ids, _, decided = predictions(result.folder)
    truth = [CLASSES[int(image_id[-3:]) % 2] for image_id in ids]
    for name in CLASSES:
        found = [name in row.split() for row in decided]
        wrong = {
            "false positive": sum(f and t != name for f, t in zip(found, truth, strict=True)),
            "miss": sum(not f and t == name for f, t in zip(found, truth, strict=True)),
        }
        for kind, count in wrong.items():
            mine = [float(row["probability"]) for row in rows if row["class"] == name and row["kind"] == kind]
            assert len(mine) == min(count, 10)
            assert mine == sorted(mine, reverse=kind == "false positive")
    table = list(csv.reader((result.folder / "confused_with.csv").open()))
    assert len(table) == 21
    assert all(int(row[1 + place]) == 0 for place, row in enumerate(table[1:]))


@pytest.mark.parametrize("tta", ["flip", "ms"])
def test_tta(one: str, tta: str) -> None:
    _, plain, _ = predictions(evaluate([one]).folder)
    _, averaged, _ = predictions(evaluate([one], tta=tta).folder)
    assert not np.array_equal(plain, averaged)
    assert np.allclose(plain, averaged, atol=0.1)  # the same images, in the same order


def test_what_cannot_be_scored_is_refused(one: str, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--thresholds is one of"):
        evaluate([one], thresholds="best")
    other = trained(tiny, tmp_path / "folds", folds=4)
    with pytest.raises(DataError, match="validated on different images"):
        evaluate([one, other])
    with pytest.raises(DataError, match="score different images"):
        compare(one, other)
    (Path(one) / "thresholds.json").write_text("{")
    with pytest.raises(DataError, match=r"thresholds\.json is missing or broken"):
        evaluate([one], split="train")
