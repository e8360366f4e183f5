"""The choice of an attack for each image, by hand and against all choices."""

from itertools import product

import numpy as np
import pytest
import torch

from vocctl.metrics.confusion import iou_per_class, mean_present
from vocctl.metrics.worst_case import worst_attack, worst_mean_iou


def mean_iou(confusions: np.ndarray, choice: np.ndarray) -> float:
    """confusions: (A, N, K, K)."""
    total = torch.from_numpy(confusions[choice, np.arange(len(choice))].sum(0))
    return mean_present(iou_per_class(total), total)


def attack_loss(confusions: np.ndarray) -> np.ndarray:
    """(A, N) pixel error."""
    labeled = confusions.sum((2, 3))
    return 1 - confusions.trace(axis1=2, axis2=3) / labeled


def random_confusions(seed: int, num_attacks: int = 3, num_images: int = 5, num_classes: int = 4) -> np.ndarray:
    """All attacks have the same ground truth: each pixel of a class gets a random prediction."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(1, 40, (num_images, num_classes))
    pixels[generator.random(pixels.shape) < 0.4] = 0
    pixels[:, 0] += 10
    shape = num_attacks, num_images, num_classes
    probs = generator.dirichlet(np.full(num_classes, 0.5), shape)
    return np.array(
        [[[generator.multinomial(pixels[i, k], probs[a, i, k]) for k in range(shape[2])] for i in range(shape[1])]
         for a in range(shape[0])]
    )  # fmt: skip


def test_worst_attack_is_the_first_with_the_highest_loss():
    assert worst_attack(np.array([[0.1, 0.5, 0.2], [0.3, 0.5, 0.1]])).tolist() == [1, 0, 0]


def test_lowest_mean_iou_is_not_that_of_the_lowest_pixel_accuracy():
    """One image of 10 + 1 pixels. Attack 0 makes two of the first class wrong, attack 1 only the pixel of the rare one.

    Attack 0: IoU 8 / 10 and 1 / 3, pixel accuracy 9 / 11. Attack 1: 10 / 11 and 0, pixel accuracy 10 / 11.
    """
    confusions = np.array([[[[8, 2], [0, 1]]], [[[10, 0], [1, 0]]]])
    assert mean_iou(confusions, np.array([0])) == pytest.approx((8 / 10 + 1 / 3) / 2)
    assert mean_iou(confusions, np.array([1])) == pytest.approx(10 / 11 / 2)
    assert worst_attack(attack_loss(confusions)).tolist() == [0]
    assert worst_mean_iou(confusions, attack_loss(confusions)).tolist() == [1]


def test_classes_without_ground_truth_are_left_out():
    """Attack 1 predicts class 2, which no image has: the IoU of classes 0 and 1 counts alone, and is lower with attack 1."""
    confusions = np.array([[[[5, 0, 0], [0, 5, 0], [0, 0, 0]]], [[[5, 0, 0], [0, 4, 1], [0, 0, 0]]]])
    assert worst_mean_iou(confusions, attack_loss(confusions)).tolist() == [1]


@pytest.mark.parametrize("seed", range(8))
def test_greedy_mean_iou_is_at_most_that_of_any_attack_and_near_the_lowest_of_all_choices(seed):
    confusions = random_confusions(seed)
    losses = attack_loss(confusions)
    found = mean_iou(confusions, worst_mean_iou(confusions, losses))
    singles = [mean_iou(confusions, np.full(5, attack)) for attack in range(3)]
    lowest = min(mean_iou(confusions, np.array(choice)) for choice in product(range(3), repeat=5))
    assert found <= min(*singles, mean_iou(confusions, worst_attack(losses)))
    assert lowest - 1e-9 <= found <= lowest + 0.01
