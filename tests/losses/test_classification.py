"""Multi-label losses worked out by hand, against torch and against each other."""

import math
from typing import get_args

import pytest
import torch
import torch.nn.functional as F

from vocctl.config.classification import ClsLossConfig, LabelLoss
from vocctl.labels import IGNORE
from vocctl.losses.classification import LOSSES, asl_loss, bce_loss, focal_loss, loss_function

PROBS = torch.tensor([[0.75, 0.25]])
LOGITS = PROBS.logit()
TARGETS = torch.tensor([[1, 0]])


def test_config_lists_the_losses_of_the_table():
    assert set(get_args(LabelLoss)) == set(LOSSES)


def random_batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 20, generator=generator), torch.randint(2, (6, 20), generator=generator)


def test_bce_by_hand_and_against_torch():
    assert bce_loss(LOGITS, TARGETS).item() == pytest.approx(-math.log(0.75))  # both terms are -log 3/4
    logits, targets = random_batch()
    assert torch.allclose(bce_loss(logits, targets), F.binary_cross_entropy_with_logits(logits, targets.float()))


def test_asl_by_hand():
    # positive: -log .75 without focusing; negative: p_m = .25 - .05 = .2, so .2^4 * -log .8
    expected = (-math.log(0.75) + 0.2**4 * -math.log(0.8)) / 2
    assert asl_loss(LOGITS, TARGETS).item() == pytest.approx(expected, rel=1e-5)
    with_focus = asl_loss(LOGITS, TARGETS, gamma_pos=1.0)
    assert with_focus.item() == pytest.approx((0.25 * -math.log(0.75) + 0.2**4 * -math.log(0.8)) / 2, rel=1e-5)


def test_asl_without_focus_and_margin_is_bce():
    logits, targets = random_batch()
    assert torch.allclose(asl_loss(logits, targets, gamma_neg=0.0, margin=0.0), bce_loss(logits, targets), atol=1e-6)


def test_asl_ignores_negatives_below_the_margin():
    logits = torch.tensor([[-4.0]], requires_grad=True)  # p = .018
    asl_loss(logits, torch.tensor([[0]])).backward()
    assert logits.grad.item() == 0


def test_focal_by_hand_and_without_focus():
    # p_t is .75 for both pairs
    assert focal_loss(LOGITS, TARGETS).item() == pytest.approx(0.25**2 * -math.log(0.75))
    logits, targets = random_batch()
    assert torch.allclose(focal_loss(logits, targets, gamma=0.0), bce_loss(logits, targets))


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pairs_do_not_change_the_loss(name):
    logits, targets = random_batch()
    loss = loss_function(ClsLossConfig(loss=name), None)
    targets[1] = IGNORE
    keep = [0, 2, 3, 4, 5]
    assert torch.allclose(loss(logits, targets), loss(logits[keep], targets[keep]))


@pytest.mark.parametrize("weight", [None, torch.full((20,), 3.0)], ids=["plain", "pos_weight"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_target_between_0_and_1_interpolates_the_loss(name, weight):
    logits, _ = random_batch()
    loss = loss_function(ClsLossConfig(loss=name), weight)
    of_positives, of_negatives = (loss(logits, torch.full((6, 20), target)) for target in (1, 0))
    mixed = loss(logits, torch.full((6, 20), 0.3))
    assert torch.allclose(mixed, 0.3 * of_positives + 0.7 * of_negatives)


def test_bce_with_soft_targets_against_torch():
    logits, _ = random_batch()
    targets = torch.rand(6, 20, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(bce_loss(logits, targets), F.binary_cross_entropy_with_logits(logits, targets))


@pytest.mark.parametrize("name", LOSSES)
def test_float_targets_give_the_loss_of_integers(name):
    logits, targets = random_batch()
    targets[1, :5] = IGNORE
    loss = loss_function(ClsLossConfig(loss=name), None)
    assert torch.equal(loss(logits, targets), loss(logits, targets.float()))


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_of_ignored_pairs_has_loss_0_and_gradient_0(name):
    logits = torch.randn(2, 20, requires_grad=True)
    loss = loss_function(ClsLossConfig(loss=name), None)(logits, torch.full((2, 20), IGNORE))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().sum() == 0


@pytest.mark.parametrize("name", LOSSES)
def test_pos_weight_multiplies_positives_only(name):
    logits, targets = random_batch()
    weight = torch.full((20,), 3.0)
    plain, weighted = loss_function(ClsLossConfig(loss=name), None), loss_function(ClsLossConfig(loss=name), weight)
    positives, negatives = targets.where(targets == 1, IGNORE), targets.where(targets == 0, IGNORE)
    assert torch.allclose(weighted(logits, positives), 3 * plain(logits, positives))
    assert torch.allclose(weighted(logits, negatives), plain(logits, negatives))


@pytest.mark.parametrize("name", LOSSES)
def test_extreme_logits_have_finite_losses_and_gradients(name):
    logits = torch.tensor([[80.0, -80.0]], requires_grad=True)
    loss = loss_function(ClsLossConfig(loss=name), None)(logits, torch.tensor([[0, 1]]))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_asl_focusing_factor_has_no_gradient():
    # p = .25, p_m = .2: the derivative of -p_m^4 log(1 - p_m), with p_m^4 constant, is p_m^4 / (1 - p_m) * p (1 - p)
    logits = torch.tensor([[0.25]]).logit().requires_grad_()
    asl_loss(logits, torch.tensor([[0]])).backward()
    assert logits.grad.item() == pytest.approx(0.2**4 / 0.8 * 0.25 * 0.75, rel=1e-4)
