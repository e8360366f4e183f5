import numpy as np
import pytest

from vocctl.metrics.differences import difference, holm


def simulated(rng, *, seeds, images, seed_sd, image_sd, interaction_sd, resamples=60, true=0.02):
    """(S,) and (S, R) differences of a score that is a mean over images, with known variances."""
    values = (
        true
        + rng.normal(0, seed_sd, (seeds, 1))
        + rng.normal(0, image_sd, (1, images))
        + rng.normal(0, interaction_sd, (seeds, images))
    )
    counts = rng.multinomial(images, np.full(images, 1 / images), size=resamples)
    return values.mean(1), values @ counts.T / images


@pytest.mark.parametrize(
    ("seed_sd", "image_sd", "interaction_sd"), [(0.01, 0.2, 0.05), (0.02, 0.02, 0.02), (0.005, 0.1, 0.3), (0, 0.2, 0)]
)
@pytest.mark.parametrize("seeds", [3, 5])
def test_interval_holds_the_true_difference_in_about_95_percent(seeds, seed_sd, image_sd, interaction_sd):
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(250):
        found = difference(
            *simulated(rng, seeds=seeds, images=200, seed_sd=seed_sd, image_sd=image_sd, interaction_sd=interaction_sd)
        )
        covered.append(found.low <= 0.02 <= found.high)
    # conservative where each image varies under each seed: the spread between the seeds holds that too
    assert 0.91 <= np.mean(covered) <= (0.985 if interaction_sd < image_sd else 1)


def test_an_interval_over_images_alone_is_too_narrow():
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(400):
        _, resampled = simulated(rng, seeds=3, images=200, seed_sd=0.03, image_sd=0.1, interaction_sd=0)
        low, high = np.percentile(resampled.mean(0), [2.5, 97.5])
        covered.append(low <= 0.02 <= high)
    assert np.mean(covered) < 0.8


def test_three_equal_seeds_leave_the_variance_of_the_images():
    rng = np.random.default_rng(2)
    draws = rng.normal(0.5, 0.1, 5000)
    found = difference(np.full(3, 0.5), np.tile(draws, (3, 1)))
    assert found.value == 0.5
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.1, rel=0.05)


def test_known_t_interval_without_variance_of_the_images():
    # three differences 1, 2, 3: mean 2, standard error 1 / sqrt(3), t(2) at 97.5 % = 4.3027
    found = difference(np.array([1.0, 2.0, 3.0]), np.tile([[1.0], [2.0], [3.0]], (1, 50)))
    assert found.low == pytest.approx(2 - 4.3027 / 3**0.5, abs=1e-4)
    assert found.high == pytest.approx(2 + 4.3027 / 3**0.5, abs=1e-4)
    assert found.p == pytest.approx(0.0742, abs=1e-4)
    assert not found.is_distinguishable


def test_one_seed_uses_images_alone():
    rng = np.random.default_rng(3)
    found = difference(np.array([0.3]), rng.normal(0.3, 0.05, (1, 4000)))
    assert found.num_seeds == 1
    assert found.low == pytest.approx(0.3 - 1.96 * 0.05, abs=0.005)


@pytest.mark.parametrize(("value", "p"), [(0.0, 1.0), (0.125, 0.0)])
def test_no_variance_at_all(value, p):
    found = difference(np.full(3, value), np.full((3, 20), value))
    assert (found.low, found.high, found.p) == (value, value, p)


def test_undefined_resamples_are_left_out():
    rng = np.random.default_rng(4)
    point, resampled = simulated(rng, seeds=3, images=100, seed_sd=0.01, image_sd=0.1, interaction_sd=0.1)
    with_nan = np.concatenate([resampled, np.full((3, 1), np.nan)], 1)
    assert difference(point, with_nan) == difference(point, resampled)


def test_holm_known_values():
    # Holm: .01 * 4, .02 * 3, .03 * 2, .04 * 1, each at least the one before
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
