"""Evaluating classifiers: written files agree with the scores, ensembles are means, comparisons are paired."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from vocctl.config import EvalOptions, TrainClsConfig, given
from vocctl.data.source import open_dataset
from vocctl.errors import DataError
from vocctl.labels import CLASSES
from vocctl.tasks.evaluate_cls import compare, evaluate
from vocctl.tasks.train_cls import run


def trained(tiny: Path, out: Path, **flags: object) -> str:
    small = {"model": "scratch", "size": 32, "size_from": 0, "batch": 4, "epochs": 3, "precision": "fp32", "ema": 0.0}
    return str(run(given(TrainClsConfig(), path=str(tiny), **(small | flags)), out).run)


@pytest.fixture
def model(tiny: Path, tmp_path: Path) -> str:
    """A run's folder."""
    return trained(tiny, tmp_path / "model")


def read_predictions(folder: Path) -> tuple[list[str], np.ndarray, list[str]]:
    """Ids, probabilities (N, 20), and predicted labels as text."""
    rows = list(csv.DictReader((folder / "predictions.csv").open()))
    probs = np.array([[float(row[name]) for name in CLASSES] for row in rows])
    return [row["id"] for row in rows], probs, [row["predicted"] for row in rows]


def test_written_predictions_give_the_written_scores(model: str, tiny: Path) -> None:
    result = evaluate([model], EvalOptions(split="trainval"))
    ids, probs, predicted = read_predictions(result.info.folder)
    labels = open_dataset(tiny).labels("trainval")
    targets = np.stack([labels[image_id] for image_id in ids])
    aps = [average_precision_score(targets[:, label], probs[:, label]) for label in (0, 1)]
    assert result.scores["map_sklearn"] == pytest.approx(np.mean(aps), abs=1e-9)
    label_sets = np.array([[name in row.split() for name in CLASSES] for row in predicted])
    expected = f1_score(targets, label_sets, average="samples", zero_division=1)
    assert result.scores["sample_f1"] == pytest.approx(expected)
    assert result.scores["micro_f1"] == pytest.approx(f1_score(targets, label_sets, average="micro"))
    written = json.loads((result.info.folder / "scores.json").read_text())
    assert written["scores"] == result.scores
    assert written["per_class"]["ap_sklearn"]["cat"] is None
    assert all(row for row in predicted)


def test_validation_during_training_and_evaluation_agree(model: str) -> None:
    last = json.loads((Path(model) / "metrics.jsonl").read_text().splitlines()[-1])
    scores = evaluate([model], EvalOptions(checkpoint="final", thresholds="0.5")).scores
    for name in ("map_11_point", "map_all_points", "map_sklearn", "sample_f1"):
        assert scores[name] == pytest.approx(last[name], abs=1e-9)


def test_thresholds_are_not_scored_on_the_images_they_were_fitted_on(model: str, tiny: Path) -> None:
    assert "cross-fitted" in evaluate([model]).threshold_source
    assert "cross-fitted" in evaluate([model], EvalOptions(split="trainval")).threshold_source
    train = evaluate([model], EvalOptions(split="train"))
    assert train.threshold_source == "fitted on the run's validation images"
    stored = json.loads((Path(model) / "thresholds.json").read_text())["best"]["global"]
    _, probs, predicted = read_predictions(train.info.folder)
    for row, labels in zip(probs, predicted, strict=True):
        reached = [name for name, p, t in zip(CLASSES, row, stored, strict=True) if p >= t]
        assert labels.split() == (reached or [CLASSES[int(row.argmax())]])


def test_an_ensemble_predicts_the_mean_probabilities(model: str, tiny: Path, tmp_path: Path) -> None:
    models = [model, *(trained(tiny, tmp_path / f"seed{seed}", seed=seed) for seed in (1, 2))]
    ids, first, _ = read_predictions(evaluate(models[:1]).info.folder)
    _, second, _ = read_predictions(evaluate(models[1:2]).info.folder)
    _, third, _ = read_predictions(evaluate(models[2:]).info.folder)
    ensemble = evaluate(models)
    assert ensemble.info.folder.name == "tiny-val-ensemble"
    ensemble_ids, mean, _ = read_predictions(ensemble.info.folder)
    assert ensemble_ids == ids
    assert np.allclose(mean, (first + second + third) / 3, atol=1e-9)


def test_a_comparison_is_paired(model: str, tiny: Path, tmp_path: Path) -> None:
    *_, same = compare(model, model, EvalOptions(ci=50))
    assert [(row.low, row.high, row.p) for row in same] == [(0, 0, 1)] * 4
    good = trained(tiny, tmp_path / "good", epochs=25, lr=0.003, encoder_lr=1.0)
    first, second, rows = compare(model, good, EvalOptions(ci=200))
    for row in rows:
        assert row.first == first.scores[row.metric]
        assert row.second == second.scores[row.metric]
        assert row.low <= row.second - row.first + 1e-9
        assert row.high >= row.second - row.first - 1e-9


def test_intervals_contain_the_score(model: str) -> None:
    result = evaluate([model], EvalOptions(split="trainval", ci=100))
    assert set(result.intervals) == {"map_11_point", "map_all_points", "map_sklearn", "sample_f1"}
    for name, (low, high) in result.intervals.items():
        assert low - 0.05 <= result.scores[name] <= high + 0.05
        assert low < high or low == high == result.scores[name]


def test_errors_csv_has_the_most_confident_errors_of_each_class(model: str) -> None:
    result = evaluate([model], EvalOptions(split="trainval", thresholds="0.5"))
    rows = list(csv.DictReader((result.info.folder / "errors.csv").open()))
    ids, _, predicted = read_predictions(result.info.folder)
    true = [CLASSES[int(image_id[-3:]) % 2] for image_id in ids]
    for name in CLASSES:
        is_predicted = [name in row.split() for row in predicted]
        counts = {
            "false positive": sum(p and t != name for p, t in zip(is_predicted, true, strict=True)),
            "false negative": sum(not p and t == name for p, t in zip(is_predicted, true, strict=True)),
        }
        for kind, count in counts.items():
            probs = [float(row["probability"]) for row in rows if row["class"] == name and row["kind"] == kind]
            assert len(probs) == min(count, 10)
            assert probs == sorted(probs, reverse=kind == "false positive")
    table = list(csv.reader((result.info.folder / "confused_with.csv").open()))
    assert len(table) == 21
    assert all(int(row[1 + label]) == 0 for label, row in enumerate(table[1:]))


@pytest.mark.parametrize("tta", ["flip", "ms"])
def test_tta_changes_the_probabilities_a_little(model: str, tta: str) -> None:
    _, plain, _ = read_predictions(evaluate([model]).info.folder)
    _, averaged, _ = read_predictions(evaluate([model], EvalOptions(tta=tta)).info.folder)
    assert not np.array_equal(plain, averaged)
    assert np.allclose(plain, averaged, atol=0.1)  # the same images, in the same order


def test_runs_validated_on_different_images_are_not_combined(model: str, tiny: Path, tmp_path: Path) -> None:
    other = trained(tiny, tmp_path / "folds", folds=4)
    with pytest.raises(DataError, match="validated on different images"):
        evaluate([model, other])
    with pytest.raises(DataError, match="score different images"):
        compare(model, other)
    (Path(model) / "thresholds.json").write_text("{")
    with pytest.raises(DataError, match=r"thresholds\.json is missing"):
        evaluate([model], EvalOptions(split="train"))
