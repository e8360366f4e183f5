"""Listing runs: their settings and scores, newest first; a corrupt run does not hide the others."""

import json
from pathlib import Path

import pytest

from vocctl.errors import DataError
from vocctl.tasks.list_runs import list_runs


def test_runs_are_listed_newest_first_with_their_scores(trained) -> None:
    about = json.loads((trained.seg / "run.json").read_text())
    (trained.seg / "run.json").write_text(json.dumps(about | {"started": "2001-01-01T00:00:00+00:00"}))
    runs = list_runs(trained.seg.parent)
    assert [run.path for run in runs] == [trained.cls, trained.seg]
    cls, seg = runs
    assert (cls.task, cls.data, cls.score_name, cls.scored_on) == ("train-cls", "tiny", "mAP (sklearn)", "tiny-val")
    written = json.loads((trained.seg / "eval" / "tiny-val" / "scores.json").read_text())
    assert seg.score == written["scores"]["mean_iou"]
    assert "encoder scratch" in seg.changed_settings
    assert "widths 8/8/8" in seg.changed_settings


def test_a_run_without_evaluation_shows_its_best_validation(trained) -> None:
    (trained.seg / "eval").rename(trained.seg / "elsewhere")
    (seg,) = [run for run in list_runs(trained.seg.parent) if run.task == "train-seg"]
    lines = [json.loads(line) for line in (trained.seg / "metrics.jsonl").read_text().splitlines()]
    assert (seg.score, seg.scored_on) == (max(line["mean_iou"] for line in lines), "validation")
    (trained.seg / "metrics.jsonl").write_text("")
    (seg,) = [run for run in list_runs(trained.seg.parent) if run.task == "train-seg"]
    assert (seg.score, seg.scored_on) == (None, "no epoch yet")


def test_an_undefined_score_is_none(trained) -> None:
    path = trained.cls / "eval" / "tiny-val" / "scores.json"
    scores = json.loads(path.read_text())
    scores["scores"]["map_sklearn"] = None  # as of images without any class
    path.write_text(json.dumps(scores))
    (cls,) = [run for run in list_runs(trained.cls.parent) if run.task == "train-cls"]
    assert (cls.score, cls.scored_on, cls.problem) == (None, "tiny-val", "")


@pytest.mark.parametrize("scores", [None, [], {"map_sklearn": "x"}, {"mean_iou": 0.5}])
def test_corrupt_scores_are_listed_as_the_problem(trained, scores: object) -> None:
    path = trained.cls / "eval" / "tiny-val" / "scores.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"scores": scores}))
    (corrupt,) = [run for run in list_runs(trained.cls.parent) if run.path == trained.cls]
    assert "scores.json cannot be read: run `vocctl eval" in corrupt.problem


def test_a_corrupt_run_is_listed_with_the_reason(trained) -> None:
    (trained.seg / "run.json").write_text("{")
    corrupt = list_runs(trained.seg.parent)[-1]
    assert corrupt.path == trained.seg
    assert "its run.json is missing or corrupt" in corrupt.problem


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        list_runs(tmp_path / "nowhere")
    assert list_runs(tmp_path) == []
