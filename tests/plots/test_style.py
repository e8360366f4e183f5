"""What all figures share: titles that fit and are what they say."""

from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from vocctl.plots import style


@pytest.mark.parametrize(("width", "broken"), [(4, True), (8, True), (20, False)])
def test_a_long_title_stays_inside_the_figure(tmp_path: Path, width: float, broken: bool) -> None:
    figure = plt.figure(figsize=(width, 2), layout="constrained")
    with style.quiet_style():
        style.put_title(figure, "a run with a long name, on images of its own, " * 3)
    style.save_figure(figure, tmp_path / "title.png")
    assert ("\n" in figure.get_suptitle()) == broken
    box = figure._suptitle.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


def test_two_dollars_in_a_name_are_no_formula(tmp_path: Path) -> None:
    with style.quiet_style():
        figure = plt.figure()
        style.put_title(figure, "a run called $\\x$")  # as a formula it can't be drawn
        assert style.save_figure(figure, tmp_path / "title.png").is_file()
