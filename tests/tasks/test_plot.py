"""Plotting: pictures of what the run has, and one line where it has nothing."""

import json
from pathlib import Path

import pytest
from PIL import Image

from vocctl.errors import DataError
from vocctl.tasks.plot import plot


@pytest.fixture
def run_folder(tiny: Path, tmp_path: Path) -> Path:
    """A run folder as train-seg and eval leave it, with label maps that are the truth but for one photo."""
    folder = tmp_path / "run"
    labels = folder / "eval" / "tiny-val" / "labels"
    labels.mkdir(parents=True)
    (folder / "config.toml").write_text("")
    (folder / "run.json").write_text('{"task": "train-seg"}')
    line = {"train_loss": 2.0, "val_loss": 1.5, "mean_dice": 0.4, "pixel_accuracy": 0.8, "lr": 1e-3}
    records = [{"epoch": epoch, "mean_iou": score, **line} for epoch, score in ((1, 0.2), (2, 0.5), (3, 0.3))]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    scores = {f"tiny_{number:03d}": 0.1 * number for number in range(8, 12)}
    for image_id in scores:
        Image.new("L", (32, 32), 1).save(labels / f"{image_id}.png")
    about = {"photo_iou": scores, "data_path": str(tiny / "VOCdevkit" / "VOC2009")}
    (folder / "eval" / "tiny-val" / "scores.json").write_text(json.dumps(about))
    return folder


def test_curves_best_and_worst_are_drawn(run_folder: Path) -> None:
    paths = plot(str(run_folder), cases=2)
    assert [path.name for path in paths] == ["curves.png", "best-tiny-val.png", "worst-tiny-val.png"]
    for path in paths:
        with Image.open(path) as image:
            assert min(image.size) > 300
    assert paths[1].read_bytes() != paths[2].read_bytes()


def test_without_an_evaluation_the_curves_alone(run_folder: Path) -> None:
    (run_folder / "eval" / "tiny-val" / "scores.json").unlink()
    assert [path.name for path in plot(str(run_folder))] == ["curves.png"]


def test_what_is_missing_is_named(run_folder: Path) -> None:
    with pytest.raises(DataError, match="did you mean tiny-val"):
        plot(str(run_folder), evaluation="tiny-vla")
    (run_folder / "metrics.jsonl").write_text("")
    with pytest.raises(DataError, match="no epoch yet"):
        plot(str(run_folder))
