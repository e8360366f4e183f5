"""Thresholds: fitted right, never judged on what they were fitted on, never an empty set."""

import numpy as np
import pytest

from vocctl.inference.thresholds import GRID, binarize, cross_fitted_predictions, fit_thresholds
from vocctl.labels import IGNORE
from vocctl.metrics.multilabel import sample_f1


def made(images: int, seed: int = 0, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that lean to the truth, with another bias for each class."""
    generator = np.random.default_rng(seed)
    targets = (generator.random((images, classes)) < 0.3).astype(np.uint8)
    logits = 3.0 * targets - 1.5 + generator.normal(size=targets.shape) + np.linspace(-2, 2, classes)
    return 1 / (1 + np.exp(-logits)), targets


def score(probs: np.ndarray, targets: np.ndarray, thresholds: np.ndarray) -> float:
    return float(sample_f1(binarize(probs, thresholds) & (targets != IGNORE), targets == 1).mean())


def test_a_set_is_never_empty():
    chosen = binarize(np.array([[0.1, 0.3], [0.6, 0.7]]), np.array([0.5, 0.65]))
    assert chosen.tolist() == [[False, True], [True, True]]  # the first row reaches neither: its larger one


def test_the_global_threshold_is_the_best_of_the_grid():
    probs, targets = made(200)
    found = fit_thresholds(probs, targets, "global")
    assert len(set(found)) == 1
    best = max(score(probs, targets, np.full(6, t)) for t in GRID)
    assert score(probs, targets, found) == best


def test_one_class_at_a_time_no_other_threshold_does_better():
    probs, targets = made(150)
    targets[:20, 2] = IGNORE
    found = fit_thresholds(probs, targets, "per-class")
    reached = score(probs, targets, found)
    assert reached > score(probs, targets, fit_thresholds(probs, targets, "global"))
    for place in range(6):
        for candidate in GRID:
            other = found.copy()
            other[place] = candidate
            assert score(probs, targets, other) <= reached + 1e-12


def test_a_class_without_positives_keeps_the_global_threshold():
    probs, targets = made(150)
    targets[:, 4] = 0
    assert fit_thresholds(probs, targets, "per-class")[4] == fit_thresholds(probs, targets, "global")[0]


def test_half():
    probs, targets = made(10)
    assert fit_thresholds(probs, targets, "0.5").tolist() == [0.5] * 6


def test_an_image_takes_no_share_in_its_own_thresholds():
    """Change one image's truth: its own decision stays, though the thresholds of others may move."""
    probs, targets = made(60)
    before = cross_fitted_predictions(probs, targets, "per-class")
    for place in range(0, 60, 7):
        changed = targets.copy()
        changed[place] = 1 - changed[place]
        assert np.array_equal(cross_fitted_predictions(probs, changed, "per-class")[place], before[place])


@pytest.mark.parametrize("kind", ["per-class", "global"])
def test_cross_fitting_estimates_the_score_on_new_images(kind):
    estimates, truths = [], []
    new_probs, new_targets = made(4000, seed=99)
    for seed in range(10):
        probs, targets = made(200, seed)
        estimates.append(float(sample_f1(cross_fitted_predictions(probs, targets, kind), targets == 1).mean()))
        truths.append(score(new_probs, new_targets, fit_thresholds(probs, targets, kind)))
    assert np.mean(estimates) == pytest.approx(np.mean(truths), abs=0.02)


def test_one_image_alone_is_decided_at_half():
    assert cross_fitted_predictions(np.array([[0.6, 0.4]]), np.array([[1, 0]]), "per-class").tolist() == [[True, False]]
