"""AP by three definitions: by hand, naively, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from vocctl.labels import IGNORE
from vocctl.metrics.average_precision import class_aps, mean_defined


def aps(scores: list[float], targets: list[int], counts: list[int] | None = None) -> dict[str, float]:
    image_counts = None if counts is None else np.array(counts)
    values = class_aps(np.array(scores)[:, None], np.array(targets)[:, None], image_counts)
    return {name: class_values[0] for name, class_values in values.items()}


def test_by_hand():
    # ranked: 1 0 1 0 1; (recall, precision) at the positives: (1/3, 1), (2/3, 2/3), (1, 3/5)
    result = aps([0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 0, 1])
    # recalls 0 to .3: 1; .4 to .6: 2/3; .7 to 1: 3/5
    assert result["11_point"] == pytest.approx((4 * 1 + 3 * 2 / 3 + 4 * 3 / 5) / 11)
    assert result["all_points"] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert result["sklearn"] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)


def test_interpolation_takes_the_higher_precision_of_later_points():
    # ranked: 0 1 1; precision 1/2 and 2/3 at the positives: interpolated, 2/3 at both
    result = aps([0.9, 0.8, 0.7], [0, 1, 1])
    assert result["11_point"] == pytest.approx(2 / 3)
    assert result["all_points"] == pytest.approx(2 / 3)
    assert result["sklearn"] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_a_recall_of_three_tenths_is_reached_exactly():
    # ten positives: three at precision 1, then a negative, then the rest at 4/5 and more: at recall .3 precision is 1
    result = aps(list(np.linspace(1, 0, 11)), [1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1])
    # recall 0 to .3: 1; from .4 on the highest precision is 10/11
    assert result["11_point"] == pytest.approx((4 * 1 + 7 * 10 / 11) / 11)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_equal_scores_are_one_point_in_any_order(order):
    scores, targets = np.array([0.5, 0.5, 0.2])[order], np.array([1, 0, 1])[order]
    result = aps(list(scores), list(targets))
    # points: (1/2, 1/2) for the tied pair, then (1, 2/3)
    assert result["11_point"] == pytest.approx(2 / 3)
    assert result["all_points"] == pytest.approx(2 / 3)
    assert result["sklearn"] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_ignored_images_are_left_out():
    assert aps([0.95, 0.9, 0.8, 0.7], [IGNORE, 1, 0, 1]) == aps([0.9, 0.8, 0.7], [1, 0, 1])


def test_a_class_without_positives_is_undefined_and_not_in_the_mean():
    result = class_aps(np.array([[0.9, 0.3], [0.1, 0.4]]), np.array([[1, 0], [0, 0]]))
    for values in result.values():
        assert values[0] == 1
        assert np.isnan(values[1])
        assert mean_defined(values) == 1
    assert np.isnan(mean_defined(np.array([np.nan])))


def test_image_counts_equal_repeated_images():
    scores, targets, counts = [0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0], [2, 1, 0, 3]
    repeated = [index for index, count in enumerate(counts) for _ in range(count)]
    expected = aps([scores[p] for p in repeated], [targets[p] for p in repeated])
    assert aps(scores, targets, counts) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(20))
def test_the_sklearn_definition_is_scikit_learns_for_images_and_for_resamples(seed):
    generator = np.random.default_rng(seed)
    scores = generator.random((300, 5)).round(2 if seed % 2 else 6)  # two decimals: many ties
    targets = (generator.random((300, 5)) < 0.1).astype(int)
    result = class_aps(scores, targets)["sklearn"]
    counted_once = class_aps(scores, targets, np.ones(300, int))["sklearn"]
    for label in range(5):
        expected = average_precision_score(targets[:, label], scores[:, label])
        assert result[label] == pytest.approx(expected, abs=1e-12)
        assert counted_once[label] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_interpolated_definitions_against_a_naive_implementation(seed):
    generator = np.random.default_rng(seed)
    scores, targets = generator.permutation(200) / 200, (generator.random(200) < 0.15).astype(int)
    ranked = targets[np.argsort(-scores)]
    recall, precision = np.cumsum(ranked) / ranked.sum(), np.cumsum(ranked) / np.arange(1, 201)
    eleven = np.mean([precision[recall >= tenth / 10 - 1e-12].max(initial=0) for tenth in range(11)])
    area = sum(precision[index:].max() for index in np.flatnonzero(ranked)) / ranked.sum()
    result = aps(list(scores), list(targets))
    assert result["11_point"] == pytest.approx(eleven, abs=1e-9)
    assert result["all_points"] == pytest.approx(area, abs=1e-9)
