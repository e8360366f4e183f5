"""Training curves: what is drawn, and that the file is whole."""

import pytest
from PIL import Image

from vocctl.errors import RunError
from vocctl.plots import curves, style
from vocctl.plots.curves import draw_curves

RECORDS = [
    {"epoch": n, "train_loss": 1 / n, "val_loss": 2 / n, "mean_iou": n / 10, "mean_dice": n / 8,
     "pixel_accuracy": n / 5, "lr": 0.1 / n}
    for n in (1, 2, 3)
]  # fmt: skip


@pytest.fixture
def figures(monkeypatch) -> list:
    kept = []
    monkeypatch.setattr(
        curves, "save_figure", lambda figure, path: kept.append(figure) or style.save_figure(figure, path)
    )
    return kept


def test_a_picture_and_nothing_else(tmp_path):
    path = draw_curves(RECORDS, tmp_path / "plots" / "curves.png", title="run", best_epoch=2)
    assert [file.name for file in path.parent.iterdir()] == ["curves.png"]
    with Image.open(path) as image:
        image.load()
        assert image.width > 1000
        assert image.convert("L").getextrema()[0] < 128  # something is drawn


def test_the_lines_are_the_records(tmp_path, figures):
    draw_curves(RECORDS, tmp_path / "curves.png", title="run", best_epoch=2)
    (figure,) = figures
    drawn = {line.get_label(): line.get_xydata().tolist() for ax in figure.axes for line in ax.lines}
    assert drawn["training loss"] == [[1, 1], [2, 0.5], [3, pytest.approx(1 / 3)]]
    assert drawn["mean IoU"] == [[1, 10], [2, 20], [3, pytest.approx(30)]]  # per cent
    assert [x for x, _ in drawn["best epoch, 2"]] == [2, 2]
    assert drawn.keys() == {
        "training loss", "validation cross-entropy", "mean IoU", "mean Dice", "pixel accuracy",
        "of the fastest layer", "best epoch, 2",
    }  # fmt: skip
    assert figure.get_suptitle() == "run"


def test_one_epoch_is_enough(tmp_path):
    assert draw_curves(RECORDS[:1], tmp_path / "curves.png", title="run", best_epoch=1).is_file()


def test_the_same_records_give_the_same_bytes(tmp_path):
    paths = [draw_curves(RECORDS, tmp_path / f"{n}.png", title="run", best_epoch=2) for n in (1, 2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_no_figure_stays_open(tmp_path):
    import matplotlib.pyplot as plt

    draw_curves(RECORDS, tmp_path / "curves.png", title="run", best_epoch=2)
    assert plt.get_fignums() == []


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "plots").write_text("")
    with pytest.raises(RunError, match=r"curves\.png can't be written"):
        draw_curves(RECORDS, tmp_path / "plots" / "curves.png", title="run", best_epoch=2)


def test_no_space_left_keeps_the_picture_before(tmp_path, monkeypatch):
    path = draw_curves(RECORDS, tmp_path / "curves.png", title="run", best_epoch=2)
    before = path.read_bytes()

    def full(figure, part, **settings):
        part.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    with pytest.raises(RunError, match=r"curves\.png can't be written: No space left on device"):
        draw_curves(RECORDS, path, title="run", best_epoch=2)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["curves.png"]


def overlaid(tmp_path, figures, groups):
    curves.draw_overlaid_curves(groups, tmp_path / "curves.png", title="runs", score=("mean IoU", "mean_iou"))
    return figures[0]


def test_seeds_are_a_mean_and_a_band_over_the_epochs_that_all_have(tmp_path, figures):
    other = [{**record, "train_loss": record["train_loss"] + 1} for record in RECORDS[:2]]
    figure = overlaid(tmp_path, figures, {"loss dice": [RECORDS, other], "loss ce": [RECORDS]})
    losses = figure.axes[0]
    assert [line.get_xydata().tolist() for line in losses.lines] == [[[1, 1.5], [2, 1]], [[1, 1], [2, 0.5], [3, 1 / 3]]]
    band = losses.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (0.5, 2)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["loss dice (2 runs)", "loss ce", "best epoch of a run"]


def test_runs_that_share_no_epoch_are_drawn_one_by_one(tmp_path, figures):
    figure = overlaid(tmp_path, figures, {"all": [RECORDS[:1], RECORDS[2:]]})
    assert [line.get_xdata().tolist() for line in figure.axes[0].lines] == [[1], [3]]
