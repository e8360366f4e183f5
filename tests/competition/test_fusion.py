"""The rules between a classifier and a segmenter: what they do to a image, and when they are used."""

import numpy as np
import torch

from vocctl.competition.fusion import add_mask_labels, allowed_classes, argmax_labels, class_fractions, evaluate_rule


def probs_of(*planes: tuple[int, list[list[float]]]) -> torch.Tensor:
    """(21, H, W): the planes that are given, background what is left to 1."""
    shape = np.array(planes[0][1]).shape
    probs = torch.zeros(21, *shape)
    for label, values in planes:
        probs[label] = torch.tensor(values)
    probs[0] = 1 - probs[1:].sum(0)
    return probs


def test_the_likeliest_class_wins_a_pixel():
    probs = probs_of((1, [[0.6, 0.1]]), (2, [[0.3, 0.2]]))
    assert argmax_labels(probs).tolist() == [[1, 0]]


def test_a_class_that_is_ruled_out_gives_its_pixels_to_the_next():
    probs = probs_of((1, [[0.6, 0.6]]), (2, [[0.3, 0.1]]))
    allowed = np.ones(20, bool)
    allowed[0] = False
    assert argmax_labels(probs, allowed).tolist() == [[2, 0]]  # the second pixel's next is background, .3
    assert argmax_labels(probs).tolist() == [[1, 1]]  # the probabilities stay as they were


def test_no_map_is_all_background():
    probs = probs_of((1, [[0.1, 0.3, 0.2]]), (2, [[0.2, 0.1, 0.05]]))
    # class 1 has the larger mean, .2 against .117; half of its surest pixel is .15
    assert argmax_labels(probs).tolist() == [[0, 1, 1]]
    nothing = torch.zeros(21, 2, 2)
    nothing[0] = 1
    assert argmax_labels(nothing).any()


def test_what_the_classifier_chose_is_never_ruled_out():
    probs, chosen = np.full(20, 0.001), np.zeros(20, bool)
    probs[3], chosen[5] = 0.2, True
    assert np.flatnonzero(allowed_classes(probs, chosen, 0.1)).tolist() == [3, 5]


def test_a_mask_proves_a_label():
    shares = class_fractions(np.array([[1, 1, 2, 0], [0, 0, 0, 0]], np.uint8))
    assert shares[:3].tolist() == [0.25, 0.125, 0]
    chosen = np.zeros(20, bool)
    assert np.flatnonzero(add_mask_labels(chosen, shares, 0.2)).tolist() == [0]
    assert np.flatnonzero(add_mask_labels(chosen, shares, 1.01)).tolist() == []


def test_a_rule_that_helps_every_image_is_used():
    scores = np.stack([np.full(50, 0.5), np.full(50, 0.6)], axis=1)
    measured, fitted = evaluate_rule("r", (0.0, 0.1), scores)
    assert (measured.used, measured.value) == (True, 0.1)
    assert np.isclose(measured.gain, 0.1)
    assert (fitted == 0.6).all()


def test_a_rule_that_helps_by_chance_alone_is_not():
    base = np.full((60, 1), 0.5)
    noise = np.random.default_rng(0).normal(0, 0.2, (60, 5))
    measured, fitted = evaluate_rule("r", (0.0, 1.0, 2.0, 3.0, 4.0, 5.0), np.hstack([base, base + noise]))
    assert not measured.used
    assert (fitted == 0.5).all()


def test_a_rule_that_harms_is_off_and_so_is_one_on_a_single_image():
    measured, _ = evaluate_rule("r", (0.0, 0.1), np.stack([np.full(50, 0.5), np.full(50, 0.4)], axis=1))
    assert (measured.used, measured.value, measured.gain) == (False, 0.0, 0.0)
    assert not evaluate_rule("r", (0.0, 0.1), np.array([[0.1, 0.9]]))[0].used
