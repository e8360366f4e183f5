"""Scores on corrupted images and the grid of images: the figures have what was given."""

from pathlib import Path

import numpy as np
import pytest

from vocctl.plots.corruptions import draw_corruption_curves, draw_image_grid


def test_each_line_starts_at_the_clean_score(tmp_path: Path, figures) -> None:
    lines = {
        "noise": {"shot_noise": [0.5, 0.3], "impulse_noise": [0.3, float("nan")]},
        "digital": {"contrast": [0.6, 0.6]},
    }
    draw_corruption_curves(lines, [1, 5], tmp_path / "c.png", clean=0.8, score="mean IoU", title="a run")
    noise, digital = figures[0].axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in noise.get_lines()}
    assert drawn["shot noise"] == pytest.approx([80, 50, 30])
    assert drawn["impulse noise"] == pytest.approx([80, 30, np.nan], nan_ok=True)
    assert drawn["mean"] == pytest.approx([80, 40, np.nan], nan_ok=True)
    assert list(digital.get_lines()[0].get_xdata()) == [0, 1, 5]
    assert noise.get_ylabel() == "mean IoU, %"
    assert [ax.get_title() for ax in (noise, digital)] == ["noise", "digital"]


@pytest.mark.parametrize("count", [2, 6])
def test_the_grid_shows_every_image_under_its_name(tmp_path: Path, figures, count: int) -> None:
    images = {f"kind_{number}": np.full((30, 40, 3), 10 * number, np.uint8) for number in range(count)}
    draw_image_grid(images, tmp_path / "g.png", title="an image")
    shown = [ax for ax in figures[0].axes if ax.images]
    assert [ax.get_title() for ax in shown] == [f"kind {number}" for number in range(count)]
    assert [int(ax.images[0].get_array()[0, 0, 0]) for ax in shown] == [10 * number for number in range(count)]
