"""Mistakes: image and bars of each, the true classes in bold."""

import numpy as np

from vocctl.plots import errors, style
from vocctl.plots.errors import COLORS, ErrorCase, LabelBar, draw_errors


def test_bars_and_words(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(
        errors, "save_figure", lambda figure, path: kept.append(figure) or style.save_figure(figure, path)
    )
    bars = [LabelBar("dog", 0.9, "not true", True), LabelBar("cat", 0.1, "true", False)]
    shown = [ErrorCase(f"image{n}", "cat missed", np.full((20, 30, 3), n, np.uint8), bars) for n in range(5)]
    draw_errors(shown, tmp_path / "mistakes.png", title="t")
    axes = np.array(kept[0].axes).reshape(4, 4)  # two rows of images, each above its bars
    assert [ax.get_title() for ax in axes[0]] == [f"cat missed\nimage{n}" for n in range(4)]
    assert np.array_equal(axes[2, 0].images[0].get_array(), shown[4].image)
    below = axes[1, 2]
    assert [bar.get_width() for bar in below.patches] == [0.9, 0.1]
    assert [text.get_text() for text in below.texts] == ["90 %, predicted", "dog", "10 %", "cat"]
    assert [text.get_weight() for text in below.texts if text.get_text() in ("dog", "cat")] == ["normal", "bold"]
    assert [text.get_text() for text in kept[0].legends[0].get_texts()] == list(COLORS)[:2]
    assert not axes[2, 1].images
