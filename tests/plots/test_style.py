"""What all figures share: titles that fit, settings that are restored."""

from pathlib import Path

import matplotlib as mpl
import pytest

from vocctl.plots import style


@pytest.mark.parametrize(("width", "wrapped"), [(4, True), (8, True), (20, False)])
def test_long_title_stays_inside_the_figure(tmp_path: Path, width: float, wrapped: bool) -> None:
    with style.figure_style():
        figure, _ = style.new_figure(1, 1, (width, 2))
        style.set_title(figure, "a run with a long name, on images of its own, " * 3)
    style.save_figure(figure, tmp_path / "title.png")
    assert ("\n" in figure.get_suptitle()) == wrapped
    box = figure._suptitle.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


def test_dollar_signs_in_a_name_are_not_a_formula(tmp_path: Path) -> None:
    with style.figure_style():
        figure, _ = style.new_figure(1, 1, (4, 2))
        style.set_title(figure, "a run called $\\x$")  # not a valid formula
        assert style.save_figure(figure, tmp_path / "title.png").is_file()


def test_settings_of_matplotlib_are_restored() -> None:
    settings = dict(mpl.rcParams)
    with style.figure_style():
        assert dict(mpl.rcParams) != settings
    assert dict(mpl.rcParams) == settings


def test_each_series_has_its_own_color() -> None:
    assert all(len(set(style.series_colors(count))) == count for count in (1, 10, 11, 25))
