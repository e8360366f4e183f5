"""Colors of labels and of errors, and the picture of several cases."""

import numpy as np
from PIL import Image

from vocctl.labels import IGNORE
from vocctl.plots import segmentation, style
from vocctl.plots.segmentation import ERROR_COLORS, Case, blended, draw_cases, error_map, palette_image

TRUTH = np.array([[0, 3, 3], [0, 5, IGNORE]], np.uint8)
PREDICTED = np.array([[0, 3, 0], [7, 6, 3]], np.uint8)


def case(name: str = "image", height: int = 30, width: int = 40) -> Case:
    truth = np.zeros((height, width), np.uint8)
    truth[5:20, 5:20] = 12
    truth[4, 4:21] = IGNORE
    predicted = np.roll(truth, 3, axis=1)
    predicted[predicted == IGNORE] = 8
    return Case(name, 0.42, np.full((height, width, 3), 90, np.uint8), truth, predicted)


def test_palette_image():
    colors = palette_image(TRUTH)
    assert (colors.shape, colors.dtype) == ((2, 3, 3), np.uint8)
    # the devkit's colors of 0, 3, 5 and 255
    assert colors[0].tolist() == [[0, 0, 0], [128, 128, 0], [128, 128, 0]]
    assert colors[1].tolist() == [[0, 0, 0], [128, 0, 128], [224, 224, 192]]


def test_error_map_by_hand():
    verdicts = [["right", "right", "object missed"], ["object invented", "class mistaken", "border, not scored"]]
    expected = [[list(ERROR_COLORS[verdict]) for verdict in row] for row in verdicts]
    assert error_map(TRUTH, PREDICTED).tolist() == expected


def test_a_border_is_no_error_whatever_was_predicted():
    truth = np.full((1, 3), IGNORE, np.uint8)
    found = error_map(truth, np.array([[0, 5, IGNORE]], np.uint8))
    assert (found == ERROR_COLORS["border, not scored"]).all()


def test_verdicts_can_be_told_apart():
    assert len(set(ERROR_COLORS.values())) == 5


def test_a_picture_and_nothing_else(tmp_path):
    path = draw_cases([case(), case("other", 60, 30)], tmp_path / "plots" / "best.png", title="best")
    assert [file.name for file in path.parent.iterdir()] == ["best.png"]
    with Image.open(path) as image:
        found = {color for _, color in image.convert("RGB").getcolors(maxcolors=1 << 24)}
    assert {
        (64, 0, 128),
        ERROR_COLORS["object missed"],
        ERROR_COLORS["object invented"],
        (90, 90, 90),
    } <= found  # 12 is a dog


def test_rows_columns_and_legend(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(
        segmentation, "save_figure", lambda figure, path: kept.append(figure) or style.save_figure(figure, path)
    )
    draw_cases([case("first"), case("second")], tmp_path / "best.png", title="best")
    axes = kept[0].axes
    assert [ax.get_title() for ax in axes[:4]] == ["image", "truth", "prediction", "errors"]
    assert len(axes) == 8
    assert [axes[0].get_ylabel(), axes[4].get_ylabel()] == ["first\nmean IoU 42 %", "second\nmean IoU 42 %"]
    assert np.array_equal(axes[0].images[0].get_array(), case().image)
    assert np.array_equal(axes[1].images[0].get_array(), palette_image(case().truth))
    assert np.array_equal(axes[2].images[0].get_array(), palette_image(case().predicted))
    assert np.array_equal(axes[3].images[0].get_array(), error_map(case().truth, case().predicted))
    legend = [text.get_text() for text in kept[0].legends[0].get_texts()]
    assert legend == ["background", "cat", "dog", "border", *(f"errors: {name}" for name in ERROR_COLORS)]


def test_blended_by_hand():
    image = np.full((1, 2, 3), 100, np.uint8)
    # background stays; 15 is a person, (192, 128, 128)
    assert blended(image, np.array([[0, 15]], np.uint8)).tolist() == [[[100, 100, 100], [146, 114, 114]]]
