"""The plot kind corruptions, and unreadable figures in the report."""

from pathlib import Path

import pytest
from PIL import Image

from vocctl.errors import DataError
from vocctl.reporting.corruption_section import corruption_figure_images
from vocctl.reporting.options import NothingToPlot, PlotOptions
from vocctl.runs.corruptions import CorruptionRecord, write_corruptions
from vocctl.runs.records import read_run
from vocctl.tasks.plot import plot


def store_scores(run: Path) -> CorruptionRecord:
    cells = {(kind, 3): {"mean_iou": score} for kind, score in (("snow", 0.5), ("contrast", 0.25))}
    record = CorruptionRecord(
        folder=run / "corruptions" / "tiny-val", task="train-seg", metric="mean_iou", data="tiny", data_path="tiny",
        split="val", checkpoint="best", fingerprint="", weights="", images=4, seed=0, version=1, kinds=("snow", "contrast"),
        severities=(3,), clean={"mean_iou": 0.75}, cells=cells,
    )  # fmt: skip
    write_corruptions(record)
    return record


def test_one_figure_for_each_evaluation(trained) -> None:
    with pytest.raises(NothingToPlot, match="--corruption all` first"):
        plot([str(trained.seg)], kinds=["corruptions"])
    store_scores(trained.seg)
    (path,) = plot([str(trained.seg)], kinds=["corruptions"], options=PlotOptions(format="png"))
    assert path == trained.seg / "plots" / "corruptions-tiny-val.png"
    with Image.open(path) as image:
        assert min(image.size) > 300


def test_error_names_an_unreadable_figure(trained) -> None:
    record = store_scores(trained.seg)
    Image.new("RGB", (30, 20)).save(record.folder / "curves.png")
    (figure,) = corruption_figure_images(read_run(str(trained.seg)))
    assert figure.title == "Corruptions tiny-val: curves"
    (record.folder / "curves.png").write_text("no image")
    with pytest.raises(DataError, match=r"curves\.png is not a readable image.*--corruption` again"):
        corruption_figure_images(read_run(str(trained.seg)))
