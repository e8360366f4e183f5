"""Perturbations are amplified around gray by a factor that fits; outputs of both tasks are drawn."""

from pathlib import Path

import numpy as np

from vocctl.plots.adversarial import AttackedCase, amplification_factor, amplify_perturbation, draw_attacked_cases

LABELS = np.zeros((20, 30), np.uint8)
LABELS[5:, 5:] = 15


def case(change: int, output: np.ndarray | dict[str, float] = LABELS) -> AttackedCase:
    """A gray image whose first value changes by `change`."""
    image = np.full((20, 30, 3), 100, np.uint8)
    adversarial = image.copy()
    adversarial[0, 0, 0] += change
    return AttackedCase("image", image, adversarial, output, output, "linf 8/255")


def test_amplification_factor_stays_inside_the_gray_scale():
    assert amplification_factor([case(8), case(2)]) == 8  # 8 * 8 = 64; 8 * 16 = 128 is over 127
    assert amplification_factor([case(1)]) == 64
    assert amplification_factor([case(0)]) == 1
    assert amplification_factor([case(150)]) == 1  # clipped, but not reduced


def test_amplification_factor_ignores_the_largest_percent():
    with_outliers = case(3)
    with_outliers.adversarial[1:] += 5
    with_outliers.adversarial[0, :5] = 255  # 15 of 1,800 values
    assert amplification_factor([with_outliers]) == 16  # 5 * 16 = 80


def test_amplified_perturbation_is_gray_without_a_change():
    one_change = case(3)
    amplified = amplify_perturbation(one_change.image, one_change.adversarial, 8)
    assert amplified[0, 0].tolist() == [128 + 24, 128, 128]
    assert (amplified[1:] == 128).all()
    assert amplify_perturbation(one_change.adversarial, one_change.image, 64)[0, 0, 0] == 0  # 128 - 192, clipped


def test_draw_attacked_cases(tmp_path: Path, figures) -> None:
    draw_attacked_cases([case(8), case(8)], tmp_path / "seg.png", title="under pgd-20")
    probabilities = {"person": 0.9, "dog": 0.2, "cat": 0.1}
    draw_attacked_cases([case(8, probabilities)], tmp_path / "cls.png", title="under pgd-20")
    segmenter, classifier = figures
    assert len(segmenter.axes) == 10
    assert [text.get_text() for text in segmenter.legends[0].get_texts()] == ["background", "person"]
    titles = [ax.get_title() for ax in classifier.axes]
    assert titles == ["clean", "perturbation x 8", "adversarial", "output, clean", "output, adversarial"]
    assert [text.get_text() for text in classifier.axes[3].texts] == ["cat 0.10", "dog 0.20", "person 0.90"]
    assert not classifier.legends
