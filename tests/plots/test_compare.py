"""Comparison: a dot per run, a bar at their mean, differences from the first config."""

from vocctl.plots.compare import ComparedGroup, draw_comparison


def test_dots_bars_and_differences(tmp_path, figures):
    groups = [
        ComparedGroup("skip", [0.3, 0.4], [0, 1], None),
        ComparedGroup("no skip", [0.2], [0], (-0.15, -0.2, -0.1)),
    ]
    draw_comparison(groups, tmp_path / "compare.png", title="t", score="mean IoU", note="n")
    left, right = figures[0].axes
    assert [bar.get_width() for bar in left.patches] == [35, 20]
    assert [list(line.get_xdata()) for line in left.lines] == [[30, 40], [20]]
    assert [label.get_text() for label in left.get_yticklabels()] == ["skip\nseeds 0, 1", "no skip\nseed 0"]
    assert {"-15.0", "baseline"} <= {text.get_text() for text in right.texts}
    assert left.get_xlabel() == "mean IoU, %"


def test_without_differences_there_is_one_panel(tmp_path, figures):
    groups = [ComparedGroup("a", [0.3], [0], None), ComparedGroup("b", [0.2], [0], None)]
    draw_comparison(groups, tmp_path / "compare.png", title="t", score="mean IoU", note="n")
    assert len(figures[0].axes) == 1
