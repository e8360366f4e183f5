"""RUN/corruptions/: what is written is read back, means and drops, stored scores are used again, and corrupt files."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vocctl.errors import DataError
from vocctl.runs.corruptions import (
    CORRUPTION_FILE,
    CorruptionRecord,
    corruption_records,
    model_fingerprint,
    read_corruptions,
    with_stored_scores,
    write_corruptions,
)
from vocctl.runs.folder import RunFolder


def scores(mean_iou: float) -> dict[str, float]:
    return {"mean_iou": mean_iou, "pixel_accuracy": 0.5}


def record_in(run: Path, **changes: Any) -> CorruptionRecord:
    """Clean .8; fog .6 and .4; shot_noise .2 and not finished; snow of an earlier command."""
    values: dict[str, Any] = {
        "folder": run / "corruptions" / "tiny-val", "task": "train-seg", "metric": "mean_iou", "data": "tiny",
        "data_path": "data/tiny", "split": "val", "checkpoint": "best", "fingerprint": "of images", "weights": "of weights",
        "images": 4, "seed": 0, "version": 1, "kinds": ("shot_noise", "fog"), "severities": (1, 3), "clean": scores(0.8),
        "cells": {("fog", 1): scores(0.6), ("fog", 3): scores(0.4), ("shot_noise", 1): scores(0.2), ("snow", 5): scores(0.1)},
    }  # fmt: skip
    return CorruptionRecord(**values | changes)


def test_means_and_drops(tmp_path: Path) -> None:
    record = record_in(tmp_path)
    assert record.mean_score(["fog"]) == pytest.approx(0.5)
    assert record.relative_drop(record.mean_score(["fog"])) == pytest.approx(0.375)  # (.8 - .5) / .8
    assert record.mean_score(severities=[1]) == pytest.approx(0.4)
    assert record.missing_cells == [("shot_noise", 3)]
    assert math.isnan(record.mean_score())  # a mean over some of the cells would not be comparable
    full = replace(record, cells=record.cells | {("shot_noise", 3): scores(0.0)})
    assert full.mean_score() == pytest.approx(0.3)  # (.6 + .4 + .2 + 0) / 4, without snow
    assert full.categories == {"noise": ("shot_noise",), "weather": ("fog",)}
    assert math.isnan(replace(full, clean=scores(0.0)).relative_drop(0.0))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    record = record_in(tmp_path, cells={("fog", 1): scores(math.nan), ("shot_noise", 3): scores(0.25)})
    write_corruptions(record)
    (read,) = corruption_records(tmp_path)
    assert str(read) == str(replace(record, cells=dict(sorted(record.cells.items(), reverse=True))))  # nan is not nan
    values = json.loads((record.folder / CORRUPTION_FILE).read_text())
    assert values["means"]["noise"] is None
    assert [cell["corruption"] for cell in values["cells"]] == ["shot_noise", "fog"]


def test_the_table_has_a_row_for_each_finished_cell(tmp_path: Path) -> None:
    record = record_in(tmp_path)
    write_corruptions(record)
    with (record.folder / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["corruption"], row["category"], row["severity"]) for row in rows] == [
        ("clean", "", "0"), ("shot_noise", "noise", "1"), ("fog", "weather", "1"), ("fog", "weather", "3"),
    ]  # fmt: skip
    assert [float(row["relative_drop"]) for row in rows] == pytest.approx([0, 0.75, 0.25, 0.5])


def test_scores_of_the_same_weights_and_images_are_used_again(tmp_path: Path) -> None:
    record = record_in(tmp_path)
    write_corruptions(record)
    new = record_in(tmp_path, clean={}, cells={}, kinds=("snow",), severities=(5,))
    again = with_stored_scores(new, tmp_path, 0)
    assert (again.folder, again.clean, again.cells) == (record.folder, record.clean, record.cells)
    assert again.missing_cells == []
    for changed in ({"weights": "trained longer"}, {"version": 2}):
        other = with_stored_scores(replace(new, **changed), tmp_path, 0)
        assert (other.folder, other.clean, other.cells) == (record.folder, {}, {})
    for changed in ({"fingerprint": "other images"}, {"checkpoint": "final"}, {"seed": 1}):
        other = with_stored_scores(replace(new, **changed), tmp_path, 0)
        assert other.folder != record.folder
        assert other.cells == {}


def test_folders_are_named_by_what_differs(tmp_path: Path) -> None:
    record = record_in(tmp_path)
    write_corruptions(record)

    def name(subset: int = 0, **changes: Any) -> str:
        return with_stored_scores(replace(record, **changes), tmp_path, subset).folder.name

    assert name() == "tiny-val"
    assert name(fingerprint="other images") == "tiny-val-2"
    assert name(3, seed=2, checkpoint="final") == "tiny-val-final-3-seed2"


def test_a_corrupt_file_is_reported_and_replaced(tmp_path: Path) -> None:
    record = record_in(tmp_path)
    write_corruptions(record)
    path = record.folder / CORRUPTION_FILE
    values = json.loads(path.read_text())
    cell = values["cells"][0]
    for changed in (
        {"metric": "iuo"}, {"metric": 3}, {"kinds": ["fgo"]}, {"kinds": []}, {"severities": [9]}, {"images": "many"},
        {"clean": [1]}, {"cells": [cell | {"scores": {}}]}, {"cells": [cell | {"severity": [1]}]}, {"cells": 1},
        {"clean": {"mean_iou": "high"}},
    ):  # fmt: skip
        path.write_text(json.dumps(values | changed))
        with pytest.raises(DataError, match="tiny-val is corrupt: remove it, then run `vocctl eval"):
            read_corruptions(record.folder)
    path.write_text("{")
    assert with_stored_scores(replace(record, clean={}, cells={}), tmp_path, 0).folder == record.folder


def test_a_models_fingerprint_covers_weights_and_thresholds(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    with pytest.raises(DataError, match=r"best\.safetensors cannot be read"):
        model_fingerprint(run, "best")
    fingerprints = []
    for weights, thresholds in (("a", None), ("b", None), ("b", 0.5), ("b", 0.25)):
        (tmp_path / "best.safetensors").write_text(weights)
        if thresholds is not None:
            run.write_json("thresholds.json", {"best": {"0.5": thresholds}})
        fingerprints.append(model_fingerprint(run, "best"))
    assert len(set(fingerprints)) == 4
