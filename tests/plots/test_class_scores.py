"""Class scores are sorted, and undefined ones are named at the bottom."""

from math import nan

from vocctl.plots.class_scores import ClassSeries, draw_class_scores


def test_order_values_and_labels(tmp_path, figures):
    first = ClassSeries("one", {"cat": 0.2, "dog": 0.9, "cow": nan}, 0.55, {"cat": (0.1, 0.4)})
    second = ClassSeries("two", {"cat": 0.4, "dog": 0.5, "cow": nan}, 0.45)
    path = tmp_path / "a.png"
    draw_class_scores([first, second], {"cat": "3 images"}, path, title="t", score="IoU, %", note="n")
    (ax,) = figures[0].axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["cow", "cat", "dog"]  # from the bottom up
    dots = sorted(round(line.get_xdata()[0]) for line in ax.lines if line.get_marker() == "o")
    assert dots == [20, 40, 50, 90]
    (interval,) = ax.collections
    assert interval.get_segments()[0][:, 0].tolist() == [10, 40]
    texts = [text.get_text() for text in ax.texts]
    assert "3 images" in texts
    assert texts.count("- (neither ground truth nor prediction)") == 1
    assert ax.get_xlabel() == "IoU, %\nn"
    legend = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert legend == ["one: mean 55.0 %", "two: mean 45.0 %"]
    assert path.stat().st_size > 5000
