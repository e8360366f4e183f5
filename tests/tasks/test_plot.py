"""Plot: each kind draws the runs that have data for it; what is missing is one line that says what to do."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vocctl.errors import ConfigError, DataError, RunError
from vocctl.reporting.error_ranking import most_confident_errors
from vocctl.reporting.options import NothingToPlot, PlotOptions
from vocctl.runs.cls_evaluation import ClsPredictions
from vocctl.runs.records import read_run
from vocctl.tasks.plot import plot


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def variant(run: Path, name: str, *changes: tuple[str, str]) -> Path:
    """A copy of the run with replacements in its config.toml."""
    copy = run.parent / name
    shutil.copytree(run, copy)
    text = (copy / "config.toml").read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    (copy / "config.toml").write_text(text)
    return copy


def test_kinds_of_a_segmenter(trained) -> None:
    paths = plot([str(trained.seg)])
    expected = ["curves.png", "confusion-tiny-val.png", "classes-tiny-val.png", "masks-tiny-val.png"]
    assert names(paths)[: len(expected)] == expected  # other kinds may follow
    assert {path.parent for path in paths} == {trained.seg / "plots"}
    assert sorted(names(list((trained.seg / "plots").iterdir()))) == sorted(names(paths))
    for path in paths:
        with Image.open(path) as image:
            image.load()
            assert min(image.size) > 300


def test_kinds_of_a_classifier(trained) -> None:
    has_errors = bool(most_confident_errors(read_run(str(trained.cls)).evaluation.predictions))
    expected = [
        "curves.png",
        "confusion-tiny-val.png",
        "classes-tiny-val.png",
        *["errors-tiny-val.png"] * has_errors,
    ]
    assert names(plot([str(trained.cls)]))[: len(expected)] == expected  # other kinds may follow


def test_several_runs_are_overlaid(trained) -> None:
    dice = variant(trained.seg, "dice", ('loss = "ce+dice"', 'loss = "dice"'))
    seed = variant(trained.seg, "seed", ("seed = 0", "seed = 1"))
    file_names = names(plot([str(trained.seg), str(seed), str(dice)], kinds=["curves", "classes", "compare"]))
    assert file_names == [f"{kind}-seg+seed+dice.png" for kind in ("curves", "classes-tiny-val", "compare-tiny-val")]


def test_figures_of_other_runs_are_kept(trained) -> None:
    """Also if the names of many runs are too long for a file's name."""
    others = [variant(trained.seg, name, ("seed = 0", "seed = 1")) for name in ("a", "b" * 60, "c" * 60)]
    written = [
        plot([str(trained.seg), *map(str, runs)], kinds=["curves"])[0]
        for runs in (others[:1], others[1:2], others[:2], others[1:], others)
    ]
    assert len(set(written)) == 5
    assert all(path.is_file() for path in written)
    assert written[0].name == "curves-seg+a.png"
    assert re.fullmatch(r"curves-3-runs-[0-9a-f]{8}\.png", written[3].name)


def test_runs_of_both_tasks_are_drawn_separately(trained, tmp_path: Path) -> None:
    paths = plot(
        [str(trained.seg), str(trained.cls)], kinds=["curves", "confusion"], options=PlotOptions(out=tmp_path / "all")
    )
    assert names(paths) == [
        "seg-curves.png", "cls-curves.png", "seg-confusion-tiny-val.png", "cls-confusion-tiny-val.png"
    ]  # fmt: skip


def test_runs_with_one_name_have_separate_files(trained, tmp_path: Path) -> None:
    runs = [tmp_path / task / "one" for task in ("seg", "cls")]
    for run, original in zip(runs, (trained.seg, trained.cls), strict=True):
        shutil.copytree(original, run)
    paths = plot([str(run) for run in runs], kinds=["curves"], options=PlotOptions(out=tmp_path / "all"))
    assert names(paths) == ["seg-one-curves.png", "cls-one-curves.png"]


@pytest.mark.parametrize(("file_format", "signature"), [("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_formats(trained, file_format: str, signature: bytes) -> None:
    (path,) = plot([str(trained.seg)], kinds=["classes"], options=PlotOptions(format=file_format))
    content = path.read_bytes()
    assert path.suffix == f".{file_format}"
    assert content.startswith(signature)
    assert (
        plot([str(trained.seg)], kinds=["classes"], options=PlotOptions(format=file_format))[0].read_bytes() == content
    )


@pytest.mark.parametrize("select", ["best", "worst", "random", "tiny_013,tiny_012"])
def test_select(trained, select: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(
        "vocctl.reporting.prediction_figures.draw_segmentation_cases",
        lambda cases, path, title: drawn.extend(case.image_id for case in cases) or path,
    )
    plot([str(trained.seg)], kinds=["masks"], options=PlotOptions(select=select, num_images=3))
    scores = read_run(str(trained.seg)).evaluation.image_iou
    ranked = sorted(scores, key=lambda image_id: scores[image_id])
    if select == "best":
        assert drawn == ranked[::-1][:3]
    elif select == "worst":
        assert drawn == ranked[:3]
    elif select == "random":
        assert len(set(drawn)) == 3
    else:
        assert drawn == ["tiny_013", "tiny_012"]


def test_half_of_the_images_are_the_worst_by_default(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(
        "vocctl.reporting.prediction_figures.draw_segmentation_cases",
        lambda cases, path, title: drawn.extend(case.image_id for case in cases) or path,
    )
    plot([str(trained.seg)], kinds=["masks"], options=PlotOptions(num_images=4))
    scores = read_run(str(trained.seg)).evaluation.image_iou
    ranked = sorted(scores, key=lambda image_id: scores[image_id])
    assert drawn[2:] == ranked[:2]
    assert len(set(drawn)) == 4


def test_most_confident_error_of_each_image() -> None:
    probs, targets = np.full((4, 20), 0.1), np.zeros((4, 20), np.uint8)
    predicted = np.zeros((4, 20), bool)
    targets[0, 3], predicted[0, 3] = 1, True  # correct
    targets[1, 2], probs[1, 2] = 1, 0.2  # false negative, confidence 0.8
    predicted[1, 5], probs[1, 5] = True, 0.7  # and a false positive, 0.7
    predicted[2, 7], probs[2, 7] = True, 0.9  # false positive, 0.9
    targets[3, 4], predicted[3, 4], probs[3, 4] = 255, True, 0.99  # not scored
    assert most_confident_errors(ClsPredictions(("a", "b", "c", "d"), probs, predicted, targets)) == [(2, 7), (1, 2)]


def test_only_curves_without_an_evaluation(trained) -> None:
    shutil.rmtree(trained.seg / "eval")
    assert names(plot([str(trained.seg)])) == ["curves.png"]
    for kind in ("confusion", "classes", "masks"):
        with pytest.raises(NothingToPlot, match="has no predictions yet: run `vocctl eval"):
            plot([str(trained.seg)], kinds=[kind])


def test_errors_name_what_is_missing(trained) -> None:
    run = str(trained.seg)
    with pytest.raises(DataError, match="did you mean tiny-val"):
        plot([run], evaluation="tiny-vla")
    with pytest.raises(ConfigError, match="'curvs', did you mean curves"):
        plot([run], kinds=["curvs"])
    with pytest.raises(ConfigError, match=r"--kind takes curves, .*got ''"):
        plot([str(trained.seg)], kinds=[""])
    with pytest.raises(ConfigError, match="--format is one of png, svg, pdf"):
        plot([run], options=PlotOptions(format="jpg"))
    with pytest.raises(DataError, match="has no image 'tiny_099', did you mean"):
        plot([run], kinds=["masks"], options=PlotOptions(select="tiny_099"))
    with pytest.raises(DataError, match=r"errors needs a run of train-cls, but .* is a run of train-seg"):
        plot([run], kinds=["errors"])
    with pytest.raises(DataError, match="compare needs runs"):
        plot([run], kinds=["compare"])
    (trained.seg / "eval" / "tiny-val" / "confusion.csv").write_text("a,b\n")
    with pytest.raises(DataError, match=r"confusion\.csv is missing or corrupt: run `vocctl eval"):
        plot([run], kinds=["confusion"])
    (trained.seg / "metrics.jsonl").write_text("")
    with pytest.raises(DataError, match="no epoch yet"):
        plot([run])


def test_undefined_mean_is_not_compared(trained) -> None:
    path = trained.cls / "eval" / "tiny-val" / "scores.json"
    scores = json.loads(path.read_text())
    scores["scores"]["map_sklearn"] = None
    path.write_text(json.dumps(scores))
    asl = variant(trained.cls, "asl", ('loss = "bce"', 'loss = "asl"'))
    assert names(plot([str(trained.cls)], kinds=["classes"])) == ["classes-tiny-val.png"]
    with pytest.raises(NothingToPlot, match="tiny-val has no image with a class"):
        plot([str(trained.cls), str(asl)], kinds=["compare"])


def test_runs_evaluated_on_different_images_are_not_compared(trained) -> None:
    dice = variant(trained.seg, "dice", ('loss = "ce+dice"', 'loss = "dice"'))
    folder = (dice / "eval" / "tiny-val").rename(dice / "eval" / "tiny-test")
    scores = json.loads((folder / "scores.json").read_text()) | {"fingerprint": "of other images"}
    (folder / "scores.json").write_text(json.dumps(scores))
    with pytest.raises(NothingToPlot, match="tiny-test and tiny-val"):
        plot([str(trained.seg), str(dice)], kinds=["compare"])
    (folder / "scores.json").write_text(json.dumps(scores | {"data_path": "/b/voc"}))
    folder.rename(dice / "eval" / "tiny-val")  # two data sets of one name
    with pytest.raises(NothingToPlot, match=r"evaluated on /b/voc and .*VOC2009: name"):
        plot([str(trained.seg), str(dice)], kinds=["compare"])


def test_output_folder_is_a_file(trained, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        plot([str(trained.seg)], kinds=["curves"], options=PlotOptions(out=tmp_path / "taken"))


def test_plot_imports_no_training_library() -> None:
    code = (
        "import sys, vocctl.tasks.plot; print([name for name in ('torch', 'timm', 'sklearn') if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_num_images_limits_the_errors(trained, monkeypatch: pytest.MonkeyPatch) -> None:
    from vocctl.reporting import prediction_figures

    counts: list[int] = []
    monkeypatch.setattr(prediction_figures, "draw_errors", lambda cases, path, title: counts.append(len(cases)) or path)
    ranking = [(index, 0) for index in range(8)] + [(0, 1)] * 4
    monkeypatch.setattr(prediction_figures, "most_confident_errors", lambda predictions: ranking)
    plot([str(trained.cls)], kinds=["errors"], options=PlotOptions(num_images=3))
    plot([str(trained.cls)], kinds=["errors"])
    assert counts == [3, 8]
