"""Stratified parts of multi-label images: their sizes, and every class in proportion."""

import numpy as np
import pytest

from vocctl.data.source import open_dataset
from vocctl.data.stratify import stratified_parts


def random_targets(num_images: int, seed: int) -> np.ndarray:
    rates = np.geomspace(0.02, 0.4, 20)
    return (np.random.default_rng(seed).random((num_images, 20)) < rates).astype(np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_folds_have_every_class_in_proportion(seed):
    targets = random_targets(300, seed)
    parts = stratified_parts(targets, (0.2,) * 5, np.random.default_rng(0))
    assert np.bincount(parts).tolist() == pytest.approx([60] * 5, abs=7)
    for label in range(20):
        total = targets[:, label].sum()
        counts = [targets[parts == part, label].sum() for part in range(5)]
        assert counts == pytest.approx(
            [total / 5] * 5, abs=max(2.5, 0.25 * total / 5)
        )  # up to five labels per image compete
        if total >= 5:
            assert min(counts) >= 1


def test_two_uneven_parts():
    targets = random_targets(400, 9)
    parts = stratified_parts(targets, (0.2, 0.8), np.random.default_rng(0))
    assert (parts == 0).sum() == pytest.approx(80, abs=6)
    counts = targets[parts == 0].sum(0)
    expected = targets.sum(0) * 0.2
    assert (np.abs(counts - expected) <= np.maximum(2.5, 0.25 * expected)).all()


def test_parts_depend_only_on_the_generator():
    first, second = (stratified_parts(random_targets(100, 0), (0.5, 0.5), np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(first, second)


def test_images_without_labels_are_assigned():
    parts = stratified_parts(np.zeros((10, 20), np.uint8), (0.5, 0.5), np.random.default_rng(0))
    assert np.bincount(parts).tolist() == [5, 5]


def test_class_with_two_images_is_in_both_parts():
    targets = np.zeros((20, 3), np.uint8)
    targets[:, 0] = 1
    targets[[4, 17], 1] = 1
    parts = stratified_parts(targets, (0.5, 0.5), np.random.default_rng(0))
    assert sorted(parts[[4, 17]].tolist()) == [0, 1]


def test_real_images(shared):
    labels = open_dataset(shared / "voc-objects").labels("train")
    targets = np.stack(list(labels.values()))
    parts = stratified_parts(targets, (0.2,) * 5, np.random.default_rng(0))
    for part in range(5):
        assert (targets[parts == part].sum(0) > 0).all()
        assert (parts == part).sum() == pytest.approx(len(parts) / 5, rel=0.1)
