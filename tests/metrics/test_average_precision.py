"""AP by three definitions: hand-worked cases, and scikit-learn for its own."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from vocctl.labels import IGNORE
from vocctl.metrics.average_precision import class_aps, mean_defined


def aps(scores: list[float], targets: list[int], counts: list[int] | None = None) -> dict[str, float]:
    drawn = None if counts is None else np.array(counts)
    found = class_aps(np.array(scores)[:, None], np.array(targets)[:, None], drawn)
    return {name: values[0] for name, values in found.items()}


def test_by_hand():
    # ranked: 1 0 1 0 1; (recall, precision) at the hits: (1/3, 1), (2/3, 2/3), (1, 3/5)
    found = aps([0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 0, 1])
    # recalls 0 to .3: 1; .4 to .6: 2/3; .7 to 1: 3/5
    assert found["11_point"] == pytest.approx((4 * 1 + 3 * 2 / 3 + 4 * 3 / 5) / 11)
    assert found["all_points"] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert found["sklearn"] == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)


def test_the_envelope_lifts_what_a_later_hit_makes_up_for():
    # ranked: 0 1 1; precision at the hits 1/2 and 2/3: the envelope is 2/3 at both
    found = aps([0.9, 0.8, 0.7], [0, 1, 1])
    assert found["11_point"] == pytest.approx(2 / 3)
    assert found["all_points"] == pytest.approx(2 / 3)
    assert found["sklearn"] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_recall_at_a_tenth_is_reached_exactly():
    # ten positives, first three found at precision 1, then one miss, then the rest at 4/5 and better: recall .3 counts as 1
    found = aps(list(np.linspace(1, 0, 11)), [1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1])
    # recall 0 to .3 has 1; from .4 on the best precision to come is 10/11
    assert found["11_point"] == pytest.approx((4 * 1 + 7 * 10 / 11) / 11)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_a_tie_is_one_point_whatever_its_order(order):
    scores, targets = np.array([0.5, 0.5, 0.2])[order], np.array([1, 0, 1])[order]
    found = aps(list(scores), list(targets))
    # points: (1/2, 1/2) for the tied pair, then (1, 2/3)
    assert found["11_point"] == pytest.approx(2 / 3)
    assert found["all_points"] == pytest.approx(2 / 3)
    assert found["sklearn"] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_difficult_images_are_left_out():
    assert aps([0.95, 0.9, 0.8, 0.7], [IGNORE, 1, 0, 1]) == aps([0.9, 0.8, 0.7], [1, 0, 1])


def test_a_class_without_positives_is_undefined_and_in_no_mean():
    found = class_aps(np.array([[0.9, 0.3], [0.1, 0.4]]), np.array([[1, 0], [0, 0]]))
    for values in found.values():
        assert values[0] == 1
        assert np.isnan(values[1])
        assert mean_defined(values) == 1
    assert np.isnan(mean_defined(np.array([np.nan])))


def test_counts_are_repeated_images():
    scores, targets, counts = [0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0], [2, 1, 0, 3]
    repeated = [place for place, count in enumerate(counts) for _ in range(count)]
    again = aps([scores[p] for p in repeated], [targets[p] for p in repeated])
    assert aps(scores, targets, counts) == pytest.approx(again)


@pytest.mark.parametrize("seed", range(20))
def test_sklearns_is_sklearns(seed):
    generator = np.random.default_rng(seed)
    scores = generator.random((300, 5)).round(2 if seed % 2 else 6)  # two decimals: many ties
    targets = (generator.random((300, 5)) < 0.1).astype(int)
    found = class_aps(scores, targets)["sklearn"]
    for place in range(5):
        assert found[place] == pytest.approx(average_precision_score(targets[:, place], scores[:, place]), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_two_interpolated_ones_are_their_definitions_written_naively(seed):
    generator = np.random.default_rng(seed)
    scores, targets = generator.permutation(200) / 200, (generator.random(200) < 0.15).astype(int)
    ranked = targets[np.argsort(-scores)]
    recall, precision = np.cumsum(ranked) / ranked.sum(), np.cumsum(ranked) / np.arange(1, 201)
    eleven = np.mean([precision[recall >= tenth / 10 - 1e-12].max(initial=0) for tenth in range(11)])
    area = sum(precision[place:].max() for place in np.flatnonzero(ranked)) / ranked.sum()
    found = aps(list(scores), list(targets))
    assert found["11_point"] == pytest.approx(eleven, abs=1e-9)
    assert found["all_points"] == pytest.approx(area, abs=1e-9)
