"""Thresholds: fitted to the best F1, never applied to the images they were fitted on; no label set is empty."""

import numpy as np
import pytest

from vocctl.inference.thresholds import (
    GRID,
    _scores_by_candidate,
    binarize,
    cross_fitted_predictions,
    fit_thresholds,
)
from vocctl.labels import IGNORE
from vocctl.metrics.multilabel import sample_f1


def random_predictions(num_images: int, seed: int = 0, num_classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and targets (N, K): correlated, with a different bias for each class."""
    generator = np.random.default_rng(seed)
    targets = (generator.random((num_images, num_classes)) < 0.3).astype(np.uint8)
    logits = 3.0 * targets - 1.5 + generator.normal(size=targets.shape) + np.linspace(-2, 2, num_classes)
    return 1 / (1 + np.exp(-logits)), targets


def score(probs: np.ndarray, targets: np.ndarray, thresholds: np.ndarray) -> float:
    return float(sample_f1(binarize(probs, thresholds) & (targets != IGNORE), targets == 1).mean())


def test_a_label_set_is_never_empty():
    predicted = binarize(np.array([[0.1, 0.3], [0.6, 0.7]]), np.array([0.5, 0.65]))
    assert predicted.tolist() == [
        [False, True],
        [True, True],
    ]  # the first image reaches no threshold: its most probable


def test_the_global_threshold_is_the_best_of_the_grid():
    probs, targets = random_predictions(200)
    thresholds = fit_thresholds(probs, targets, "global")
    assert len(set(thresholds)) == 1
    assert score(probs, targets, thresholds) == max(score(probs, targets, np.full(6, t)) for t in GRID)


def test_changing_the_threshold_of_one_class_never_improves_the_score():
    probs, targets = random_predictions(150)
    targets[:20, 2] = IGNORE
    thresholds = fit_thresholds(probs, targets, "per-class")
    best = score(probs, targets, thresholds)
    assert best > score(probs, targets, fit_thresholds(probs, targets, "global"))
    for label in range(6):
        for candidate in GRID:
            changed = thresholds.copy()
            changed[label] = candidate
            assert score(probs, targets, changed) <= best + 1e-12


def test_a_class_without_positives_keeps_the_global_threshold():
    probs, targets = random_predictions(150)
    targets[:, 4] = 0
    assert fit_thresholds(probs, targets, "per-class")[4] == fit_thresholds(probs, targets, "global")[0]


def test_kind_half_fits_nothing():
    probs, targets = random_predictions(10)
    assert fit_thresholds(probs, targets, "0.5").tolist() == [0.5] * 6


def test_the_targets_of_an_image_do_not_affect_its_cross_fitted_prediction():
    probs, targets = random_predictions(60)
    before = cross_fitted_predictions(probs, targets, "per-class")
    for image in range(0, 60, 7):
        changed = targets.copy()
        changed[image] = 1 - changed[image]
        assert np.array_equal(cross_fitted_predictions(probs, changed, "per-class")[image], before[image])


@pytest.mark.parametrize("kind", ["per-class", "global"])
def test_cross_fitting_estimates_the_score_on_new_images(kind):
    estimates, scores = [], []
    new_probs, new_targets = random_predictions(4000, seed=99)
    for seed in range(10):
        probs, targets = random_predictions(200, seed)
        estimates.append(float(sample_f1(cross_fitted_predictions(probs, targets, kind), targets == 1).mean()))
        scores.append(score(new_probs, new_targets, fit_thresholds(probs, targets, kind)))
    assert np.mean(estimates) == pytest.approx(np.mean(scores), abs=0.02)


def test_a_single_image_gets_thresholds_of_one_half():
    assert cross_fitted_predictions(np.array([[0.6, 0.4]]), np.array([[1, 0]]), "per-class").tolist() == [[True, False]]


@pytest.mark.parametrize("label", [0, 3, 5])
def test_scores_by_candidate_equal_binarize_and_f1(label):
    """With ignored pairs, also where no probability reaches its threshold and the most probable class is ignored."""
    probs, targets = random_predictions(300)
    targets[np.random.default_rng(1).random(targets.shape) < 0.3] = IGNORE
    thresholds = np.full(6, 0.8)
    is_empty = ~(probs >= thresholds).any(1)
    assert (targets[is_empty, probs[is_empty].argmax(1)] == IGNORE).sum() > 5
    expected = []
    for candidate in GRID:
        thresholds[label] = candidate
        expected.append(score(probs, targets, thresholds))
    scores = _scores_by_candidate(probs, targets != IGNORE, targets == 1, thresholds, label, GRID)
    assert scores == pytest.approx(np.array(expected), abs=1e-12)
