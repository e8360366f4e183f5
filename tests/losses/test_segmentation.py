"""Segmentation losses worked out by hand, against torch, and properties that every loss of the table has."""

import math
from typing import get_args

import pytest
import torch
import torch.nn.functional as F

from vocctl.config.segmentation import LossConfig, PixelLoss
from vocctl.labels import IGNORE
from vocctl.losses.segmentation import (
    LOSSES,
    ce_dice_loss,
    cross_entropy,
    dice_loss,
    focal_loss,
    loss_function,
    lovasz_loss,
)

# two classes, two pixels: the first is 3:1 for class 0, the second 1:1
PROBS = torch.tensor([[0.75, 0.5], [0.25, 0.5]])  # (K, W)
LOGITS = PROBS.log().reshape(1, 2, 1, 2)
TARGETS = torch.tensor([[[0, 1]]])
CPU = torch.device("cpu")


def test_config_lists_the_losses_of_the_table():
    assert set(get_args(PixelLoss)) == set(LOSSES)


def random_batch(seed: int = 0, classes: int = 21) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(classes, (2, 6, 5), generator=generator)
    targets[torch.rand(targets.shape, generator=generator) < 0.2] = IGNORE
    return torch.randn(2, classes, 6, 5, generator=generator), targets


def test_cross_entropy_by_hand():
    # -(log 3/4 + log 1/2) / 2
    assert cross_entropy(LOGITS, TARGETS).item() == pytest.approx(-(math.log(0.75) + math.log(0.5)) / 2)


def test_class_weights_multiply_losses_and_divide_the_mean():
    weights = torch.tensor([1.0, 3.0])
    # (1 * -log 3/4 + 3 * -log 1/2) / (1 + 3)
    expected = -(math.log(0.75) + 3 * math.log(0.5)) / 4
    assert cross_entropy(LOGITS, TARGETS, weights=weights).item() == pytest.approx(expected)


def test_cross_entropy_equals_torch():
    logits, targets = random_batch()
    weights = torch.rand(21, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(cross_entropy(logits, targets), F.cross_entropy(logits, targets, ignore_index=IGNORE))
    expected = F.cross_entropy(logits, targets, weight=weights, ignore_index=IGNORE)
    assert torch.allclose(cross_entropy(logits, targets, weights=weights), expected)


def test_dice_by_hand():
    # class 0: intersection .75, target 1, predicted 1.25: (2 * .75 + 1) / (1 + 1.25 + 1) = 2.5 / 3.25
    # class 1: intersection .5, target 1, predicted .75: (2 * .5 + 1) / (1 + .75 + 1) = 2 / 2.75
    assert dice_loss(LOGITS, TARGETS).item() == pytest.approx(1 - (2.5 / 3.25 + 2 / 2.75) / 2)


def test_dice_ignores_absent_classes():
    # class 0: intersection 1.25, target 2, predicted 1.25: 3.5 / 4.25; class 1 is absent
    loss = dice_loss(LOGITS, torch.zeros(1, 1, 2, dtype=torch.long))
    assert loss.item() == pytest.approx(1 - 3.5 / 4.25)


def test_dice_sums_over_the_whole_batch():
    twice = dice_loss(LOGITS.repeat(2, 1, 1, 1), TARGETS.repeat(2, 1, 1))
    # all sums double, smooth does not: (2 * 1.5 + 1) / (2 + 2.5 + 1) and (2 * 1 + 1) / (2 + 1.5 + 1)
    assert twice.item() == pytest.approx(1 - (4 / 5.5 + 3 / 4.5) / 2)


def test_dice_equals_the_formula_with_one_hot_targets():
    logits, targets = random_batch()
    keep = targets != IGNORE
    one_hot = F.one_hot(targets.where(keep, 0), 21).movedim(-1, 1) * keep[:, None]
    probs = logits.softmax(dim=1) * keep[:, None]
    intersection, total = (probs * one_hot).sum((0, 2, 3)), (probs + one_hot).sum((0, 2, 3))
    terms = (1 - (2 * intersection + 1) / (total + 1))[one_hot.sum((0, 2, 3)) > 0]
    assert 2 < len(terms) < 21
    assert torch.allclose(dice_loss(logits, targets), terms.mean())


def test_focal_by_hand():
    # ((1/4)^2 * -log 3/4 + (1/2)^2 * -log 1/2) / 2
    expected = -(math.log(0.75) / 16 + math.log(0.5) / 4) / 2
    assert focal_loss(LOGITS, TARGETS).item() == pytest.approx(expected)
    weights = torch.tensor([1.0, 3.0])
    expected = -(math.log(0.75) / 16 + 3 * math.log(0.5) / 4) / 4
    assert focal_loss(LOGITS, TARGETS, weights=weights).item() == pytest.approx(expected)


def test_focal_with_gamma_0_is_cross_entropy():
    logits, targets = random_batch()
    weights = torch.rand(21, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(focal_loss(logits, targets, gamma=0.0), cross_entropy(logits, targets))
    assert torch.allclose(
        focal_loss(logits, targets, gamma=0.0, weights=weights), cross_entropy(logits, targets, weights=weights)
    )


def test_ce_dice_equals_cross_entropy_plus_dice():
    logits, targets = random_batch()
    weights = torch.rand(21, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(ce_dice_loss(logits, targets), cross_entropy(logits, targets) + dice_loss(logits, targets))
    expected = cross_entropy(logits, targets, weights=weights) + dice_loss(logits, targets)
    assert torch.allclose(ce_dice_loss(logits, targets, weights=weights), expected)


def test_lovasz_by_hand():
    # errors of class 0: .25, .5; sorted .5 (target 0), .25 (target 1). Jaccard loss after each: 1 - 1/2 = 1/2, then 1.
    # class 0: .5 * 1/2 + .25 * 1/2 = .375. Class 1: .5 (target 1), .25 (target 0): 1, then 1: .5 * 1 + .25 * 0 = .5
    assert lovasz_loss(LOGITS, TARGETS).item() == pytest.approx((0.375 + 0.5) / 2)


@pytest.mark.parametrize("name", LOSSES)
def test_perfect_prediction_has_no_loss(name):
    targets = torch.arange(21).repeat(1, 4, 1)  # (1, 4, 21): every class
    logits = 50.0 * F.one_hot(targets, 21).movedim(-1, 1)
    assert loss_function(LossConfig(loss=name), CPU)(logits, targets).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pixels_do_not_change_the_loss(name):
    logits, targets = random_batch()
    loss = loss_function(LossConfig(loss=name), CPU)
    changed = logits.clone()
    changed.movedim(1, -1)[targets == IGNORE] = 7 * torch.arange(21.0)
    assert (targets == IGNORE).any()
    assert torch.allclose(loss(logits, targets), loss(changed, targets))


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pixels_have_no_gradient(name):
    logits, targets = random_batch()
    logits.requires_grad_()
    loss_function(LossConfig(loss=name), CPU)(logits, targets).backward()
    gradient = logits.grad.movedim(1, -1)
    assert (gradient[targets == IGNORE] == 0).all()
    assert (gradient[targets != IGNORE] != 0).any()


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_of_ignored_pixels_has_loss_0_and_gradient_0(name):
    logits = random_batch()[0].requires_grad_()
    loss = loss_function(LossConfig(loss=name), CPU)(logits, torch.full((2, 6, 5), IGNORE))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_descent_lowers_the_loss(name):
    logits, targets = random_batch(seed=1)
    loss_fn = loss_function(LossConfig(loss=name), CPU)
    logits.requires_grad_()
    loss = loss_fn(logits, targets)
    loss.backward()
    assert loss.ndim == 0
    assert loss_fn(logits.detach() - 0.1 * logits.grad / logits.grad.norm(), targets) < loss


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_equals_finite_differences(name):
    logits, targets = random_batch(classes=3)
    logits.requires_grad_()
    loss_fn = loss_function(LossConfig(loss=name), CPU)
    loss_fn(logits, targets).backward()
    direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        measured = (loss_fn(logits + 1e-2 * direction, targets) - loss_fn(logits - 1e-2 * direction, targets)) / 2e-2
    assert (logits.grad * direction).sum().item() == pytest.approx(measured.item(), rel=0.02, abs=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_logits_are_summed_in_float32(name):
    logits, targets = random_batch()
    half = logits.bfloat16()
    loss = loss_function(LossConfig(loss=name), CPU)
    assert loss(half, targets).dtype == torch.float32
    assert torch.allclose(loss(half, targets), loss(half.float(), targets))


@pytest.mark.parametrize("name", ["ce", "ce+dice", "focal"])
def test_loss_function_applies_class_weights(name):
    logits, targets = random_batch()
    class_weights = tuple(100.0 if label == 3 else 1.0 for label in range(21))
    plain = loss_function(LossConfig(loss=name), CPU)
    equal_weights = loss_function(LossConfig(loss=name, class_weights=(1.0,) * 21), CPU)
    weighted = loss_function(LossConfig(loss=name, class_weights=class_weights), CPU)
    assert torch.allclose(equal_weights(logits, targets), plain(logits, targets))
    assert not torch.allclose(weighted(logits, targets), plain(logits, targets))
    one_class = torch.where(targets == 3, targets, IGNORE)
    assert torch.allclose(weighted(logits, one_class), plain(logits, one_class))  # with one class its weight cancels


def test_class_weight_0_equals_ignore():
    logits, targets = random_batch()
    weights = torch.ones(21)
    weights[3] = 0
    ignored = torch.where(targets == 3, IGNORE, targets)
    for loss in (cross_entropy, focal_loss):
        assert torch.allclose(loss(logits, targets, weights=weights), loss(logits, ignored))
        assert loss(logits, torch.full_like(targets, 3), weights=weights).item() == 0  # not 0 / 0
