"""Class matrices: rows are normalized, and the printed numbers are those of the matrix."""

import numpy as np
from PIL import Image

from vocctl.plots.confusion import ClassMatrix, draw_class_matrices, normalize_rows


def test_normalize_rows():
    fractions = normalize_rows(np.array([[3, 1], [0, 0]]))
    assert fractions[0].tolist() == [0.75, 0.25]
    assert np.isnan(fractions[1]).all()


def test_cells_have_their_percentage(tmp_path, figures):
    fractions = normalize_rows(np.array([[3, 1, 0], [0, 8, 0], [0, 0, 0]]))
    matrix = ClassMatrix("pixels", fractions, "abc", "true", "predicted")
    path = draw_class_matrices([matrix], tmp_path / "confusion.png", title="run", note="a note")
    ax = figures[0].axes[0]
    assert {(*text.get_position(), text.get_text()) for text in ax.texts} == {
        (0, 0, "75"), (1, 0, "25"), (1, 1, "100"), (1.0, 2, "not in the ground truth"),
    }  # fmt: skip
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    with Image.open(path) as image:
        assert min(image.size) > 900
