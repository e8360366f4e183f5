"""Scores under attack and the transfer matrix: the figures have the given numbers."""

from pathlib import Path

import numpy as np
import pytest

from vocctl.plots import robustness


def test_each_attack_starts_at_the_clean_score(tmp_path: Path, figures) -> None:
    lines = {"noise": ([2.0, 8.0], [0.5, 0.4]), "pgd-20": ([2.0, 8.0], [0.2, 0.0]), "adv:soft": ([float("nan")], [0.3])}
    robustness.draw_robustness(
        lines, tmp_path / "r.png", clean=0.6, score="mean IoU", budget="eps", title="a run, 3 images"
    )
    (ax,) = figures[0].axes
    drawn = {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in ax.get_lines()}
    assert drawn["pgd-20"] == ([0, 2, 8], pytest.approx([60, 20, 0]))
    assert drawn["adv:soft"][1] == pytest.approx([30, 30])
    assert ax.get_ylabel() == "mean IoU, %"


def test_transfer_matrix_has_its_numbers(tmp_path: Path, figures) -> None:
    scores = np.array([[0.5, 0.6], [0.1, 0.4], [0.3, 0.2]])
    robustness.draw_transfer(
        ["one", "two"], ["one", "two"], scores, tmp_path / "t.png", score="mAP", title="pgd-20, 8/255"
    )
    texts = [text.get_text() for text in figures[0].axes[0].texts]
    assert texts == ["50.0", "60.0", "10.0", "40.0", "30.0", "20.0"]


def test_runs_of_a_config_are_drawn_with_their_mean(tmp_path: Path, figures) -> None:
    lines = {
        "plain": [([0.0, 2.0], [0.6, 0.0]), ([0.0, 2.0], [0.4, 0.1])],
        "adv pgd-3": [([0.0, 2.0], [0.3, 0.2])],
    }
    robustness.draw_robustness_of_runs(lines, tmp_path / "r.png", score="mean IoU", budget="eps", title="2 runs")
    (ax,) = figures[0].axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in ax.get_lines()}
    assert drawn["plain"] == pytest.approx([50, 5])
    assert drawn["adv pgd-3"] == pytest.approx([30, 20])
    assert len(ax.get_lines()) == 4
