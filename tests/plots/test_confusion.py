"""Heat maps: rows are shares, and the numbers written are those of the table."""

import numpy as np
from PIL import Image

from vocctl.plots import confusion, style
from vocctl.plots.confusion import SquareTable, draw_tables, row_shares


def test_row_shares_by_hand():
    shares = row_shares(np.array([[3, 1], [0, 0]]))
    assert shares[0].tolist() == [0.75, 0.25]
    assert np.isnan(shares[1]).all()


def test_what_is_written_in_the_cells(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(
        confusion, "save_figure", lambda figure, path: kept.append(figure) or style.save_figure(figure, path)
    )
    table = SquareTable("pixels", row_shares(np.array([[3, 1, 0], [0, 8, 0], [0, 0, 0]])), "abc", "true", "predicted")
    path = draw_tables([table], tmp_path / "confusion.png", title="run", note="a note")
    ax = kept[0].axes[0]
    assert {(*text.get_position(), text.get_text()) for text in ax.texts} == {
        (0, 0, "75"), (1, 0, "25"), (1, 1, "100"), (1.0, 2, "none in the truth"),
    }  # fmt: skip
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    with Image.open(path) as image:
        assert min(image.size) > 900
