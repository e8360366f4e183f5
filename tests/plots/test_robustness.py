"""Scores against budgets, and the transfer grid: what is drawn is what was handed over."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from vocctl.plots import robustness


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[plt.Figure]:
    """The figures, looked at before they are closed."""
    figures: list[plt.Figure] = []
    save = robustness.save_figure

    def watched(figure: plt.Figure, path: Path) -> Path:
        figures.append(figure)
        return save(figure, path)

    monkeypatch.setattr(robustness, "save_figure", watched)
    return figures


def test_each_attack_is_a_line_from_the_clean_score(tmp_path: Path, kept: list[plt.Figure]) -> None:
    lines = {"noise": ([2.0, 8.0], [0.5, 0.4]), "pgd-20": ([2.0, 8.0], [0.2, 0.0]), "adv:soft": ([float("nan")], [0.3])}
    path = robustness.draw_robustness(
        lines, tmp_path / "r.png", clean=0.6, score="mean IoU", budget="eps", title="a run, 3 images"
    )
    assert Image.open(path).size[0] > 500
    (ax,) = kept[0].axes
    drawn = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in ax.get_lines()}
    assert drawn["pgd-20"] == ([0, 2, 8], pytest.approx([60, 20, 0]))
    assert drawn["adv:soft"][1] == pytest.approx([30, 30])
    assert ax.get_ylabel() == "mean IoU, %"


def test_the_transfer_grid_holds_its_numbers(tmp_path: Path, kept: list[plt.Figure]) -> None:
    scores = np.array([[0.5, 0.6], [0.1, 0.4], [0.3, 0.2]])
    robustness.draw_transfer(
        ["one", "two"], ["one", "two"], scores, tmp_path / "t.png", score="mAP", title="pgd-20, 8/255"
    )
    said = [text.get_text() for text in kept[0].axes[0].texts]
    assert said == ["50.0", "60.0", "10.0", "40.0", "30.0", "20.0"]


def test_runs_are_drawn_with_their_mean(tmp_path: Path, kept: list[plt.Figure]) -> None:
    lines = {
        "plain": [([0.0, 2.0], [0.6, 0.0]), ([0.0, 2.0], [0.4, 0.1])],
        "adv pgd-3": [([0.0, 2.0], [0.3, 0.2])],
    }
    robustness.draw_robust_runs(lines, tmp_path / "r.png", score="mean IoU", budget="eps", title="2 runs")
    (ax,) = kept[0].axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in ax.get_lines()}
    assert drawn["plain"] == pytest.approx([50, 5])
    assert drawn["adv pgd-3"] == pytest.approx([30, 20])
    assert len(ax.get_lines()) == 4
