"""Perturbations around gray, by a factor that fits, and the picture of both tasks."""

from pathlib import Path

import numpy as np
from PIL import Image

from vocctl.plots.adversarial import AttackedCase, amplification, amplified, draw_attacked


def case(change: int, output: object) -> AttackedCase:
    image = np.full((20, 30, 3), 100, np.uint8)
    adv = image.copy()
    adv[0, 0, 0] += change
    return AttackedCase("image", image, adv, output, output, "linf 8/255")  # type: ignore[arg-type]


def test_the_factor_fills_the_gray_scale_without_leaving_it():
    labels = np.zeros((20, 30), np.uint8)
    assert amplification([case(8, labels), case(2, labels)]) == 8  # 8 * 8 = 64, 8 * 16 = 128 is over 127
    assert amplification([case(1, labels)]) == 64
    assert amplification([case(0, labels)]) == 1
    assert amplification([case(150, labels)]) == 1  # cut where it leaves the scale, never wiped out


def test_a_few_large_changes_do_not_hide_the_others():
    one = case(3, np.zeros((20, 30), np.uint8))
    one.adv[1:] += 5
    one.adv[0, :5] = 255  # 15 of 1,800 channels
    assert amplification([one]) == 16


def test_gray_where_nothing_changed():
    one = case(3, None)
    shown = amplified(one.image, one.adv, 8)
    assert shown[0, 0].tolist() == [128 + 24, 128, 128]
    assert (shown[1:] == 128).all()


def test_both_tasks_are_drawn(tmp_path: Path) -> None:
    labels = np.zeros((20, 30), np.uint8)
    labels[5:, 5:] = 15
    for name, output in (("seg", labels), ("cls", {"person": 0.9, "dog": 0.2, "cat": 0.1})):
        path = draw_attacked([case(8, output), case(8, output)], tmp_path / f"{name}.png", title="under pgd-20")
        assert Image.open(path).size[0] > 1000
