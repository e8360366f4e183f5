"""The bootstrap against the known standard error of a mean."""

import numpy as np
import pytest

from vocctl.metrics.bootstrap import draws, interval, resampled, two_sided_p


def test_a_resample_has_as_many_images_as_the_data():
    for counts in draws(7, 20, np.random.default_rng(0)):
        assert counts.shape == (7,)
        assert counts.sum() == 7


def test_the_interval_of_a_mean_is_1_96_standard_errors():
    values = np.random.default_rng(1).normal(size=400)
    means = resampled(lambda counts: {"mean": float((values * counts).sum() / 400)}, 400, 2000, seed=0)["mean"]
    low, high = interval(means)
    error = values.std() / 20
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_the_same_seed_gives_the_same_resamples():
    score = lambda counts: {"first": float(counts[0])}  # noqa: E731
    assert np.array_equal(resampled(score, 5, 30, seed=3)["first"], resampled(score, 5, 30, seed=3)["first"])
    assert not np.array_equal(resampled(score, 5, 30, seed=3)["first"], resampled(score, 5, 30, seed=4)["first"])


@pytest.mark.parametrize(
    ("differences", "p"),
    [([1.0] * 100, 0.01), ([1.0] * 95 + [-1.0] * 5, 0.1), ([1.0, -1.0] * 50, 1.0), ([0.0] * 10, 1.0)],
)
def test_two_sided_p(differences, p):
    assert two_sided_p(np.array(differences)) == pytest.approx(p)


def test_the_interval_leaves_undefined_resamples_out():
    values = np.append(np.linspace(0, 1, 41), [np.nan] * 5)
    assert interval(values) == pytest.approx((0.025, 0.975))
