"""The rules that combine a classifier with a segmenter: what they do to an image, and when they are used."""

import numpy as np
import pytest
import torch

from vocctl.competition.fusion import add_mask_labels, allowed_classes, argmax_labels, class_fractions, evaluate_rule


def probs_of(*planes: tuple[int, list[list[float]]]) -> torch.Tensor:
    """(21, H, W) from (label, (H, W) probabilities); background gets the rest to 1."""
    probs = torch.zeros(21, *np.array(planes[0][1]).shape)
    for label, values in planes:
        probs[label] = torch.tensor(values)
    probs[0] = 1 - probs[1:].sum(0)
    return probs


def test_argmax_takes_the_most_probable_class():
    probs = probs_of((1, [[0.6, 0.1]]), (2, [[0.3, 0.2]]))
    assert argmax_labels(probs).tolist() == [[1, 0]]


def test_pixels_of_a_suppressed_class_go_to_the_next_class():
    probs = probs_of((1, [[0.6, 0.6]]), (2, [[0.3, 0.1]]))
    allowed = np.ones(20, bool)
    allowed[0] = False
    assert argmax_labels(probs, allowed).tolist() == [[2, 0]]  # the second pixel's next is background, .3
    assert argmax_labels(probs).tolist() == [[1, 1]]  # the input is not modified


def test_a_mask_is_never_all_background():
    probs = probs_of((1, [[0.1, 0.3, 0.2]]), (2, [[0.2, 0.1, 0.05]]))
    # class 1 has the higher mean, .2 against .117; half of its maximum is .15
    assert argmax_labels(probs).tolist() == [[0, 1, 1]]
    nothing = torch.zeros(21, 2, 2)
    nothing[0] = 1
    assert argmax_labels(nothing).any()


def test_predicted_classes_are_never_suppressed():
    probs, predicted = np.full(20, 0.001), np.zeros(20, bool)
    probs[3], predicted[5] = 0.2, True
    assert np.flatnonzero(allowed_classes(probs, predicted, 0.1)).tolist() == [3, 5]
    assert allowed_classes(probs, predicted, 0.2)[3]  # the threshold itself is enough


def test_a_class_with_enough_pixels_becomes_a_label():
    fractions = class_fractions(np.array([[1, 1, 2, 0], [0, 0, 0, 0]], np.uint8))
    assert fractions[:3].tolist() == [0.25, 0.125, 0]
    predicted = np.zeros(20, bool)
    predicted[7] = True
    assert np.flatnonzero(add_mask_labels(predicted, fractions, 0.125)).tolist() == [0, 1, 7]
    assert np.flatnonzero(add_mask_labels(predicted, fractions, 0.2)).tolist() == [0, 7]
    assert np.flatnonzero(add_mask_labels(predicted, fractions, 1.01)).tolist() == [7]


def test_a_rule_that_helps_every_image_is_used():
    dice = np.stack([np.full(50, 0.5), np.full(50, 0.6)], axis=1)
    rule, expected_dice = evaluate_rule("r", (0.0, 0.1), dice)
    assert (rule.used, rule.threshold) == (True, 0.1)
    assert np.isclose(rule.gain, 0.1)
    assert np.allclose(rule.interval, 0.1)
    assert (expected_dice == 0.6).all()


def test_no_image_is_scored_with_a_threshold_fitted_on_it():
    """The second threshold is best on all images, but only because of the images of one fold."""
    in_fold = np.random.default_rng(0).permutation(50) % 5 == 0
    dice = np.stack([np.full(50, 0.5), np.full(50, 0.6), np.where(in_fold, 0.7, 0.59)], axis=1)
    rule, expected_dice = evaluate_rule("r", (0.0, 0.1, 0.2), dice)
    assert (rule.used, rule.threshold) == (True, 0.2)
    # the other folds prefer .6 to .59 for this fold; with this fold among them, they prefer the second threshold
    assert expected_dice == pytest.approx(np.where(in_fold, 0.6, 0.59))


def test_a_rule_that_helps_by_chance_is_not_used():
    base = np.full((60, 1), 0.5)
    noise = np.random.default_rng(0).normal(0, 0.2, (60, 5))
    rule, expected_dice = evaluate_rule("r", (0.0, 1.0, 2.0, 3.0, 4.0, 5.0), np.hstack([base, base + noise]))
    assert not rule.used
    assert (expected_dice == 0.5).all()


def test_a_harmful_rule_and_a_rule_on_a_single_image_are_not_used():
    rule, _ = evaluate_rule("r", (0.0, 0.1), np.stack([np.full(50, 0.5), np.full(50, 0.4)], axis=1))
    assert (rule.used, rule.threshold, rule.gain) == (False, 0.0, 0.0)
    assert not evaluate_rule("r", (0.0, 0.1), np.array([[0.1, 0.9]]))[0].used
