"""Scores of classes: the best on top, undefined ones at the bottom, nothing left out."""

from math import nan

from vocctl.plots import classes, style
from vocctl.plots.classes import ClassScores, draw_classes


def test_order_values_and_words(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(
        classes, "save_figure", lambda figure, path: kept.append(figure) or style.save_figure(figure, path)
    )
    first = ClassScores("one", {"cat": 0.2, "dog": 0.9, "cow": nan}, 0.55, {"cat": (0.1, 0.4)})
    second = ClassScores("two", {"cat": 0.4, "dog": 0.5, "cow": nan}, 0.45)
    path = draw_classes([first, second], {"cat": "3 images"}, tmp_path / "a.png", title="t", score="IoU, %", note="n")
    (ax,) = kept[0].axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["cow", "cat", "dog"]  # from the bottom up
    dots = sorted(round(line.get_xdata()[0]) for line in ax.lines if line.get_marker() == "o")
    assert dots == [20, 40, 50, 90]
    words = [text.get_text() for text in ax.texts]
    assert "3 images" in words
    assert "- (neither truth nor prediction)" in words
    assert ax.get_xlabel() == "IoU, %\nn"
    assert [text.get_text() for text in kept[0].legends[0].get_texts()] == ["one: mean 55.0 %", "two: mean 45.0 %"]
    assert path.stat().st_size > 5000
