"""Most confident errors: each image with bars of its probabilities, the true classes in bold."""

import numpy as np

from vocctl.plots.errors import ABSENT, NOT_SCORED, PRESENT, ErrorCase, ProbabilityBar, draw_errors


def error_case(index: int, *bars: ProbabilityBar) -> ErrorCase:
    return ErrorCase(f"image{index}", "false negative: cat", np.full((20, 30, 3), index, np.uint8), bars)


def test_images_and_bars(tmp_path, figures):
    bars = [ProbabilityBar("dog", 0.9, ABSENT, True), ProbabilityBar("cat", 0.1, PRESENT, False)]
    cases = [error_case(index, *bars) for index in range(5)]
    draw_errors(cases, tmp_path / "errors.png", title="t")
    axes = np.array(figures[0].axes).reshape(4, 4)  # two rows of images, each above its bars
    assert [ax.get_title() for ax in axes[0]] == [f"false negative: cat\nimage{index}" for index in range(4)]
    assert np.array_equal(axes[2, 0].images[0].get_array(), cases[4].image)
    assert not axes[2, 1].images
    bar_ax = axes[1, 2]
    assert [bar.get_width() for bar in bar_ax.patches] == [0.1, 0.9]  # from the bottom up
    assert [text.get_text() for text in bar_ax.texts] == ["10 %", "cat", "90 %, predicted", "dog"]
    assert [text.get_weight() for text in bar_ax.texts if text.get_text() in ("cat", "dog")] == ["bold", "normal"]
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == [PRESENT, ABSENT]


def test_legend_has_unscored_classes_only_where_they_occur(tmp_path, figures):
    draw_errors([error_case(0, ProbabilityBar("dog", 0.9, NOT_SCORED, True))], tmp_path / "errors.png", title="t")
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == [PRESENT, ABSENT, NOT_SCORED]
