"""Training curves: the lines are the records; the file is complete or absent."""

from pathlib import Path

import pytest
from PIL import Image

from vocctl.errors import RunError
from vocctl.plots.curves import draw_curves, draw_overlaid_curves

RECORDS = [
    {"epoch": n, "train_loss": 1 / n, "val_loss": 2 / n, "mean_iou": n / 10, "mean_dice": n / 8,
     "pixel_accuracy": n / 5, "lr": 0.1 / n}
    for n in (1, 2, 3)
]  # fmt: skip


SCORES = {"mean_iou": "mean IoU", "mean_dice": "mean Dice", "map_sklearn": "mAP (sklearn)"}  # the last has no record


def draw(path: Path, records: list[dict] = RECORDS) -> Path:
    return draw_curves(records, path, title="run", scores=SCORES, best_epoch=1)


def test_only_the_figure_is_written(tmp_path):
    path = draw(tmp_path / "plots" / "curves.png")
    assert [file.name for file in path.parent.iterdir()] == ["curves.png"]
    with Image.open(path) as image:
        image.load()
        assert image.width > 1000
        assert image.convert("L").getextrema()[0] < 128  # something is drawn


def test_lines_are_the_records(tmp_path, figures):
    draw(tmp_path / "curves.png")
    (figure,) = figures
    drawn = {line.get_label(): line.get_xydata().tolist() for ax in figure.axes for line in ax.lines}
    assert drawn["training loss"] == [[1, 1], [2, 0.5], [3, pytest.approx(1 / 3)]]
    assert drawn["mean IoU"] == [[1, 10], [2, 20], [3, pytest.approx(30)]]  # percent
    assert [x for x, _ in drawn["best epoch, 1"]] == [1, 1]
    assert drawn.keys() == {
        "training loss", "validation cross-entropy", "mean IoU", "mean Dice", "highest of the parameter groups",
        "best epoch, 1",
    }  # fmt: skip
    assert figure.get_suptitle() == "run"


def test_one_epoch_can_be_drawn(tmp_path):
    assert draw(tmp_path / "curves.png", RECORDS[:1]).is_file()


def test_same_records_give_the_same_bytes(tmp_path):
    paths = [draw(tmp_path / f"{n}.png") for n in (1, 2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_output_folder_is_a_file(tmp_path):
    (tmp_path / "plots").write_text("")
    with pytest.raises(RunError, match=r"curves\.png cannot be written"):
        draw(tmp_path / "plots" / "curves.png")


def test_no_space_left_keeps_the_previous_figure(tmp_path, monkeypatch):
    path = draw(tmp_path / "curves.png")
    previous = path.read_bytes()

    def fail(part: Path, content: bytes) -> None:
        with part.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(RunError, match=r"curves\.png cannot be written: No space left on device"):
        draw(path)
    assert path.read_bytes() == previous
    assert [file.name for file in tmp_path.iterdir()] == ["curves.png"]


def draw_overlaid(tmp_path, figures, groups):
    draw_overlaid_curves(groups, tmp_path / "curves.png", title="runs", score=("mean_iou", "mean IoU"))
    return figures[0]


def test_seeds_are_drawn_as_mean_and_range_over_common_epochs(tmp_path, figures):
    second_seed = [{**record, "train_loss": record["train_loss"] + 1} for record in RECORDS[:2]]
    figure = draw_overlaid(tmp_path, figures, {"loss dice": [RECORDS, second_seed], "loss ce": [RECORDS]})
    losses = figure.axes[0]
    assert [line.get_xydata().tolist() for line in losses.lines] == [[[1, 1.5], [2, 1]], [[1, 1], [2, 0.5], [3, 1 / 3]]]
    band = losses.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (0.5, 2)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["loss dice (2 runs)", "loss ce", "best epoch of a run"]


def test_runs_without_common_epochs_are_drawn_separately(tmp_path, figures):
    figure = draw_overlaid(tmp_path, figures, {"all": [RECORDS[:1], RECORDS[2:]]})
    assert [line.get_xdata().tolist() for line in figure.axes[0].lines] == [[1], [3]]
