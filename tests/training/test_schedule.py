"""The learning rate against values worked out by hand."""

from typing import get_args

import pytest

from vocctl.config import OptimConfig
from vocctl.config.training import Schedule
from vocctl.training.schedule import crop_side, lr_factor


def factor(progress: float, schedule: str = "cosine", warmup: float = 0.2) -> float:
    return lr_factor(progress, OptimConfig(schedule=schedule, warmup=warmup))


@pytest.mark.parametrize(
    ("schedule", "progress", "expected"),
    [
        ("cosine", 0.2, 1),
        ("cosine", 0.6, 0.5),  # halfway after the warm-up
        ("cosine", 1.0, 0),
        ("poly", 0.2, 1),
        ("poly", 0.6, 0.5**0.9),
        ("poly", 1.0, 0),
        ("constant", 0.2, 1),
        ("constant", 1.0, 1),
    ],
)
def test_schedule_after_the_warm_up(schedule, progress, expected):
    assert factor(progress, schedule) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", get_args(Schedule))
def test_a_linear_warm_up_starts_above_0(schedule):
    assert factor(0.1, schedule) == pytest.approx(0.5)
    assert factor(0.05, schedule) == pytest.approx(0.25)
    assert factor(0.0, schedule) == 0.01


@pytest.mark.parametrize("schedule", get_args(Schedule))
def test_without_a_warm_up_it_starts_at_the_peak(schedule):
    assert factor(0.0, schedule, warmup=0.0) == 1


@pytest.mark.parametrize("schedule", get_args(Schedule))
def test_it_rises_then_falls_within_0_and_1(schedule):
    factors = [factor(progress / 1000, schedule) for progress in range(1001)]
    assert all(0 <= value <= 1 for value in factors)
    assert factors[200:] == sorted(factors[200:], reverse=True)
    assert factors[:200] == sorted(factors[:200])


@pytest.mark.parametrize("schedule", get_args(Schedule))
def test_progress_is_clamped_to_0_and_1(schedule):
    assert factor(1.3, schedule) == factor(1.0, schedule)
    assert factor(-0.1, schedule) == factor(0.0, schedule)


def test_crops_grow_in_equally_long_stages_up_to_size():
    sides = [crop_side(progress / 9, 160, 96) for progress in range(10)]
    assert sides == [96, 96, 96, 128, 128, 128, 160, 160, 160, 160]
    assert crop_side(0.0, 160, 0) == crop_side(0.0, 160, 160) == 160
    assert crop_side(0.0, 64, 96) == 64  # size_from above size: no growth
