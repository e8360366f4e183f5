"""Comparison: a dot a run, a bar their mean, differences from the first."""

from vocctl.plots import compare, style
from vocctl.plots.compare import ComparedGroup, draw_compared


def drawn(tmp_path, monkeypatch, groups):
    kept = []
    monkeypatch.setattr(
        compare, "save_figure", lambda figure, path: kept.append(figure) or style.save_figure(figure, path)
    )
    draw_compared(groups, tmp_path / "compare.png", title="t", score="mean IoU", note="n")
    return kept[0]


def test_dots_bars_and_differences(tmp_path, monkeypatch):
    groups = [
        ComparedGroup("skip", [0.3, 0.4], [0, 1], None),
        ComparedGroup("no skip", [0.2], [0], (-0.15, -0.2, -0.1)),
    ]
    left, right = drawn(tmp_path, monkeypatch, groups).axes
    assert [bar.get_width() for bar in left.patches] == [35, 20]
    assert [line.get_xdata().tolist() if hasattr(line.get_xdata(), "tolist") else list(line.get_xdata())
            for line in left.lines] == [[30, 40], [20]]  # fmt: skip
    assert [label.get_text() for label in left.get_yticklabels()] == ["skip\nseeds 0, 1", "no skip\nseed 0"]
    assert {"-15.0", "measured against this"} <= {text.get_text() for text in right.texts}
    assert left.get_xlabel() == "mean IoU, %"


def test_without_differences_one_panel(tmp_path, monkeypatch):
    groups = [ComparedGroup("a", [0.3], [0], None), ComparedGroup("b", [0.2], [0], None)]
    assert len(drawn(tmp_path, monkeypatch, groups).axes) == 1
