"""Each kind of value by hand, on one pixel and on one label; what is ignored; which way gradients point."""

import math

import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from vocctl.labels import IGNORE
from vocctl.losses.adversarial import KINDS, MARGIN_CLIP, attack_values, logit_margin

P = (0.7, 0.2, 0.1)  # probabilities of three classes at every pixel


def pixels(labels: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (1, 3, 1, N) of P everywhere, and labels (1, 1, N)."""
    logits = torch.tensor(P).log().view(1, 3, 1, 1).expand(1, 3, 1, len(labels))
    return logits, torch.tensor(labels).view(1, 1, -1)


def value(labels: list[int], kind: str, **how) -> float:
    return attack_values(*pixels(labels), kind, **({"done": 0.0} | how)).item()


LENGTH = math.sqrt(0.7**2 + 0.2**2 + 0.1**2)


def test_pixels_by_hand():
    right, wrong = -math.log(0.7), -math.log(0.2)  # label 0 is predicted, label 1 is not
    assert value([0, 1], "ce") == pytest.approx((right + wrong) / 2)
    assert value([0, 1], "segpgd") == pytest.approx(right / 2)  # l = 0 at the first step
    assert value([0, 1], "segpgd", done=0.5) == pytest.approx((0.75 * right + 0.25 * wrong) / 2)
    assert value([0, 1], "cospgd") == pytest.approx((0.7 / LENGTH * right + 0.2 / LENGTH * wrong) / 2)
    assert value([0, 1], "masked") == pytest.approx(right / 2)
    # balanced: class 0 has two pixels, class 1 one; each class counts half, wrong pixels nothing
    assert value([0, 0, 1], "balanced") == pytest.approx(right / 2)


def test_toward_a_label_what_has_it_counts_less():
    right, wrong = -math.log(0.7), -math.log(0.2)
    assert value([0, 1], "segpgd", toward=True) == pytest.approx(wrong / 2)
    assert value([0, 1], "masked", toward=True) == pytest.approx(wrong / 2)
    expected = ((1 - 0.7 / LENGTH) * right + (1 - 0.2 / LENGTH) * wrong) / 2
    assert value([0, 1], "cospgd", toward=True) == pytest.approx(expected)


def test_margins_by_hand():
    logits = torch.tensor([[2.0, -1.0, 0.5], [30.0, -30.0, 1.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], requires_grad=True)
    labels = torch.tensor([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, IGNORE, IGNORE]])
    found = logit_margin(logits, labels)
    assert found[0].item() == pytest.approx(-1 - (2 + 0.5) / 2)
    assert found[1].item() == pytest.approx((MARGIN_CLIP + 1) / 2 + MARGIN_CLIP)
    assert found[2].item() == 2  # none present: the absent ones' mean
    assert found[3].item() == -1  # none absent
    found.sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[0].tolist() == pytest.approx([-0.5, 1.0, -0.5])  # as the margin rises
    assert logits.grad[1].tolist() == [0.0, 0.0, 0.5]  # what is far enough pulls no more
    assert logits.grad[3].tolist() == [-1.0, 0.0, 0.0]  # what is ignored is not absent


def test_jensen_shannon_is_that_of_the_two_distributions():
    p, q = torch.tensor(P), torch.tensor([0.0, 1.0, 0.0])
    middle = Categorical(probs=(p + q) / 2)
    expected = 0.5 * (kl_divergence(Categorical(probs=p), middle) + kl_divergence(Categorical(probs=q), middle))
    assert value([1], "js") == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_ignored_elements_count_in_nothing(kind):
    assert value([0, IGNORE, 1, IGNORE], kind) == pytest.approx(value([0, 1], kind))
    assert value([IGNORE], kind) == 0


def test_labels_by_hand():
    logits = torch.tensor([[2.0, -1.0, 0.5]])
    labels = torch.tensor([[1, 1, IGNORE]])
    p, q = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(1))  # of the true labels: right, wrong
    assert attack_values(logits, labels, "ce", done=0).item() == pytest.approx((-math.log(p) - math.log(q)) / 2)
    assert attack_values(logits, labels, "masked", done=0).item() == pytest.approx(-math.log(p) / 2)
    weights = [one / math.hypot(one, 1 - one) for one in (p, q)]
    expected = (-weights[0] * math.log(p) - weights[1] * math.log(q)) / 2
    assert attack_values(logits, labels, "cospgd", done=0).item() == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_raising_a_value_lowers_the_labels_probability(kind):
    logits = torch.randn(2, 5, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labels = logits.detach().argmax(1)
    (gradient,) = torch.autograd.grad(attack_values(logits, labels, kind, done=0.2).sum(), logits)
    assert (gradient.gather(1, labels[:, None]) < 0).all()
    assert gradient.isfinite().all()


def test_far_off_logits_keep_a_gradient():
    logits = torch.tensor([[[[80.0]], [[-80.0]]]]).requires_grad_()
    (gradient,) = torch.autograd.grad(
        attack_values(logits, torch.zeros(1, 1, 1, dtype=torch.long), "ce", done=0).sum(), logits
    )
    assert gradient.isfinite().all()
