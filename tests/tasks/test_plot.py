"""Plotting: each kind draws what the run has, several runs lie over each other, and what is missing is one line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vocctl.errors import ConfigError, DataError, RunError
from vocctl.reporting.options import NothingToPlot, PlotOptions
from vocctl.reporting.prediction_figures import surest_mistakes
from vocctl.runs.evaluations import read_run
from vocctl.tasks.plot import plot


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def variant(run: Path, name: str, *changes: tuple[str, str]) -> Path:
    """A copy of the run whose config says something else."""
    copy = run.parent / name
    shutil.copytree(run, copy)
    text = (copy / "config.toml").read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    (copy / "config.toml").write_text(text)
    return copy


def test_a_segmenter_gets_what_it_has(trained) -> None:
    drawn = plot([str(trained.seg)])
    assert names(drawn) == ["curves.png", "confusion-tiny-val.png", "classes-tiny-val.png", "masks-tiny-val.png"]
    assert {path.parent for path in drawn} == {trained.seg / "plots"}
    assert sorted(names(list((trained.seg / "plots").iterdir()))) == sorted(names(drawn))
    for path in drawn:
        with Image.open(path) as image:
            image.load()
            assert min(image.size) > 300


def test_a_classifier_gets_what_it_has(trained) -> None:
    wrong_somewhere = bool(surest_mistakes(read_run(str(trained.cls)).evaluation.predictions))
    expected = [
        "curves.png",
        "confusion-tiny-val.png",
        "classes-tiny-val.png",
        *["mistakes-tiny-val.png"] * wrong_somewhere,
    ]
    assert names(plot([str(trained.cls)])) == expected


def test_several_runs_lie_over_each_other(trained) -> None:
    other = variant(trained.seg, "dice", ('loss = "ce+dice"', 'loss = "dice"'))
    seed = variant(trained.seg, "seed", ("seed = 0", "seed = 1"))
    drawn = names(plot([str(trained.seg), str(seed), str(other)], what=["curves", "classes", "compare"]))
    assert drawn == ["curves-3-seg-runs.png", "classes-3-seg-runs.png", "compare-3-seg-runs.png"]


def test_runs_of_both_tasks_are_drawn_apart(trained, tmp_path: Path) -> None:
    drawn = plot(
        [str(trained.seg), str(trained.cls)], what=["curves", "confusion"], wish=PlotOptions(out=tmp_path / "all")
    )
    assert names(drawn) == [
        "seg-curves.png", "cls-curves.png", "seg-confusion-tiny-val.png", "cls-confusion-tiny-val.png"
    ]  # fmt: skip


def test_pictures_of_runs_of_one_name_do_not_lie_over_each_other(trained, tmp_path: Path) -> None:
    runs = [tmp_path / kind / "one" for kind in ("seg", "cls")]
    for run, kept in zip(runs, (trained.seg, trained.cls), strict=True):
        shutil.copytree(kept, run)
    drawn = plot([str(run) for run in runs], what=["curves"], wish=PlotOptions(out=tmp_path / "all"))
    assert names(drawn) == ["seg-one-curves.png", "cls-one-curves.png"]


@pytest.mark.parametrize(("form", "starts"), [("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_formats(trained, form: str, starts: bytes) -> None:
    (path,) = plot([str(trained.seg)], what=["classes"], wish=PlotOptions(format=form))
    first = path.read_bytes()
    assert path.suffix == f".{form}"
    assert first.startswith(starts)
    assert plot([str(trained.seg)], what=["classes"], wish=PlotOptions(format=form))[0].read_bytes() == first


@pytest.mark.parametrize("pick", ["best", "worst", "random", "tiny_013,tiny_012"])
def test_which_images_are_picked(trained, pick: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(
        "vocctl.reporting.prediction_figures.draw_cases",
        lambda cases, path, title: shown.extend(case.image_id for case in cases) or path,
    )
    plot([str(trained.seg)], what=["masks"], wish=PlotOptions(pick=pick, cases=3))
    scores = read_run(str(trained.seg)).evaluation.scores["image_iou"]
    ranked = sorted(scores, key=lambda image_id: scores[image_id])
    if pick == "best":
        assert shown == ranked[::-1][:3]
    elif pick == "worst":
        assert shown == ranked[:3]
    elif pick == "random":
        assert len(set(shown)) == 3
    else:
        assert shown == ["tiny_013", "tiny_012"]


def test_by_default_half_of_the_images_are_the_worst(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(
        "vocctl.reporting.prediction_figures.draw_cases",
        lambda cases, path, title: shown.extend(case.image_id for case in cases) or path,
    )
    plot([str(trained.seg)], what=["masks"], wish=PlotOptions(cases=4))
    scores = read_run(str(trained.seg)).evaluation.scores["image_iou"]
    ranked = sorted(scores, key=lambda image_id: scores[image_id])
    assert shown[2:] == ranked[:2]
    assert len(set(shown)) == 4


def test_the_surest_mistake_of_each_image() -> None:
    from vocctl.runs.evaluations import Predictions

    probs, targets = np.full((4, 20), 0.1), np.zeros((4, 20), np.uint8)
    decided = np.zeros((4, 20), bool)
    targets[0, 3], decided[0, 3] = 1, True  # right
    targets[1, 2], probs[1, 2] = 1, 0.2  # missed: 0.8 sure
    decided[1, 5], probs[1, 5] = True, 0.7  # and wrongly found: 0.7 sure
    decided[2, 7], probs[2, 7] = True, 0.9  # wrongly found: 0.9 sure
    targets[3, 4], decided[3, 4], probs[3, 4] = 255, True, 0.99  # in no score
    assert surest_mistakes(Predictions(("a", "b", "c", "d"), probs, decided, targets)) == [(2, 7), (1, 2)]


def test_without_an_evaluation_the_curves_alone(trained) -> None:
    shutil.rmtree(trained.seg / "eval")
    assert names(plot([str(trained.seg)])) == ["curves.png"]
    for kind in ("confusion", "classes", "masks"):
        with pytest.raises(NothingToPlot, match="has no predictions yet: `vocctl eval"):
            plot([str(trained.seg)], what=[kind])


def test_an_older_evaluation_without_images_csv_is_drawn_without_intervals(trained) -> None:
    (trained.seg / "eval" / "tiny-val" / "images.csv").unlink()
    assert len(plot([str(trained.seg)])) == 4


def test_what_is_missing_is_named(trained) -> None:
    run = str(trained.seg)
    with pytest.raises(DataError, match="did you mean tiny-val"):
        plot([run], evaluation="tiny-vla")
    with pytest.raises(ConfigError, match="'curvs', did you mean curves"):
        plot([run], what=["curvs"])
    with pytest.raises(ConfigError, match=r"--what takes .*got ''"):
        plot([str(trained.seg)], what=[""])
    with pytest.raises(ConfigError, match="--format is one of png, svg, pdf"):
        plot([run], wish=PlotOptions(format="jpg"))
    with pytest.raises(DataError, match="has no image 'tiny_099', did you mean"):
        plot([run], what=["masks"], wish=PlotOptions(pick="tiny_099"))
    with pytest.raises(DataError, match="mistakes are drawn of a classifier"):
        plot([run], what=["mistakes"])
    with pytest.raises(DataError, match="compare needs runs"):
        plot([run], what=["compare"])
    (trained.seg / "eval" / "tiny-val" / "confusion.csv").write_text("a,b\n")
    with pytest.raises(DataError, match=r"confusion\.csv is missing or broken: run `vocctl eval"):
        plot([run], what=["confusion"])
    (trained.seg / "metrics.jsonl").write_text("")
    with pytest.raises(DataError, match="no epoch yet"):
        plot([run])


def test_an_undefined_mean_is_not_compared_and_its_classes_are_drawn(trained) -> None:
    path = trained.cls / "eval" / "tiny-val" / "scores.json"
    scores = json.loads(path.read_text())
    scores["scores"]["map_sklearn"] = None
    path.write_text(json.dumps(scores))
    other = variant(trained.cls, "other", ('loss = "bce"', 'loss = "asl"'))
    assert names(plot([str(trained.cls)], what=["classes"])) == ["classes-tiny-val.png"]
    with pytest.raises(NothingToPlot, match="tiny-val has no image with a class"):
        plot([str(trained.cls), str(other)], what=["compare"])


def test_runs_scored_on_different_images_are_not_compared(trained) -> None:
    other = variant(trained.seg, "dice", ('loss = "ce+dice"', 'loss = "dice"'))
    (other / "eval" / "tiny-val").rename(other / "eval" / "tiny-test")
    with pytest.raises(NothingToPlot, match="tiny-test and tiny-val"):
        plot([str(trained.seg), str(other)], what=["compare"])


def test_a_place_that_cannot_be_written(trained, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(RunError, match="can't be written"):
        plot([str(trained.seg)], what=["curves"], wish=PlotOptions(out=tmp_path / "taken"))


def test_drawing_waits_for_no_training_library() -> None:
    code = (
        "import sys, vocctl.tasks.plot; print([name for name in ('torch', 'timm', 'sklearn') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
