"""The figure of a segmenter's predictions."""

import numpy as np
from PIL import Image

from vocctl.labels import IGNORE
from vocctl.plots.mask_colors import ERROR_COLORS, FALSE_NEGATIVE, FALSE_POSITIVE, colorize_labels, error_map
from vocctl.plots.segmentation import SegmentationCase, draw_segmentation_cases


def case(name: str = "image", height: int = 30, width: int = 40) -> SegmentationCase:
    true_labels = np.zeros((height, width), np.uint8)
    true_labels[5:20, 5:20] = 12
    true_labels[4, 4:21] = IGNORE
    predicted_labels = np.roll(true_labels, 3, axis=1)
    predicted_labels[predicted_labels == IGNORE] = 8
    return SegmentationCase(name, 0.42, np.full((height, width, 3), 90, np.uint8), true_labels, predicted_labels)


def test_only_the_figure_is_written(tmp_path):
    path = draw_segmentation_cases([case(), case("portrait", 60, 30)], tmp_path / "plots" / "best.png", title="best")
    assert [file.name for file in path.parent.iterdir()] == ["best.png"]
    with Image.open(path) as image:
        colors = {color for _, color in image.convert("RGB").getcolors(maxcolors=1 << 24)}
    assert {
        (64, 0, 128),
        ERROR_COLORS[FALSE_NEGATIVE],
        ERROR_COLORS[FALSE_POSITIVE],
        (90, 90, 90),
    } <= colors  # 12 is a dog


def test_rows_columns_and_legend(tmp_path, figures):
    draw_segmentation_cases([case("first"), case("second")], tmp_path / "best.png", title="best")
    axes = figures[0].axes
    assert [ax.get_title() for ax in axes[:4]] == ["image", "ground truth", "prediction", "errors"]
    assert len(axes) == 8
    assert [axes[0].get_ylabel(), axes[4].get_ylabel()] == ["first\nmean IoU 42 %", "second\nmean IoU 42 %"]
    assert np.array_equal(axes[0].images[0].get_array(), case().image)
    assert np.array_equal(axes[1].images[0].get_array(), colorize_labels(case().true_labels))
    assert np.array_equal(axes[2].images[0].get_array(), colorize_labels(case().predicted_labels))
    assert np.array_equal(axes[3].images[0].get_array(), error_map(case().true_labels, case().predicted_labels))
    legend = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert legend == ["background", "cat", "dog", "void", *(f"errors: {name}" for name in ERROR_COLORS)]
