"""The fixed subset of --images."""

import numpy as np

from vocctl.inference.eval_split import fixed_subset


def test_a_subset_depends_on_its_size_and_seed_only() -> None:
    subset = fixed_subset(100, 7, 0)
    assert np.array_equal(subset, fixed_subset(100, 7, 0))
    assert len(set(subset)) == 7
    assert (np.diff(subset) > 0).all()
    assert 0 <= subset.min() < subset.max() < 100
    assert set(subset) < set(fixed_subset(100, 20, 0))  # a larger subset contains it
    assert not np.array_equal(subset, fixed_subset(100, 7, 1))


def test_all_images_are_taken_if_no_subset_is_named_or_the_split_is_small() -> None:
    assert (
        fixed_subset(5, 0, 0).tolist()
        == fixed_subset(5, 5, 0).tolist()
        == fixed_subset(5, 9, 0).tolist()
        == [0, 1, 2, 3, 4]
    )
