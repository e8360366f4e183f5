"""Attack losses worked out by hand for pixels and for labels, the ignore mask, and the sign of the gradients."""

import math

import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from vocctl.labels import IGNORE, SEG_CLASSES
from vocctl.losses.adversarial import ATTACK_LOSSES, MARGIN_CLIP, SEA_CLASS_WEIGHTS, attack_losses, error_rate

P = (0.7, 0.2, 0.1)  # probabilities of three classes at every pixel


def pixels(labels: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (1, 3, 1, N) of P everywhere, and labels (1, 1, N)."""
    logits = torch.tensor(P).log().view(1, 3, 1, 1).expand(1, 3, 1, len(labels))
    return logits, torch.tensor(labels).view(1, 1, -1)


def loss(labels: list[int], kind: str, **options) -> float:
    return attack_losses(*pixels(labels), kind, **({"step_fraction": 0.0} | options)).item()


NORM = math.sqrt(0.7**2 + 0.2**2 + 0.1**2)
CORRECT, WRONG = -math.log(0.7), -math.log(0.2)  # nll of label 0, which P predicts, and of label 1


def test_pixel_losses_by_hand():
    assert loss([0, 1], "ce") == pytest.approx((CORRECT + WRONG) / 2)
    assert loss([0, 1], "segpgd") == pytest.approx(CORRECT / 2)  # l = 0 at the first step
    assert loss([0, 1], "segpgd", step_fraction=0.5) == pytest.approx((0.75 * CORRECT + 0.25 * WRONG) / 2)
    assert loss([0, 1], "cospgd") == pytest.approx((0.7 / NORM * CORRECT + 0.2 / NORM * WRONG) / 2)
    assert loss([0, 1], "masked") == pytest.approx(CORRECT / 2)
    # margins of the logits: log(.2 / .7) for label 0, log(.7 / .2) for label 1, log(.7 / .1) for label 2; the sigmoid of
    # log(a / b) is a / (a + b)
    assert loss([0, 1, 2], "smooth-errors") == pytest.approx((0.2 / 0.9 + 0.7 / 0.9 + 0.7 / 0.8) / 3)
    # margin: the pixels of a label weigh 1 in total
    assert loss([0, 0, 1], "margin") == pytest.approx(math.log(0.2 / 0.7) + math.log(0.7 / 0.2), abs=1e-6)


def test_balanced_has_the_weights_of_the_data_set():
    """Wrong pixels have no weight; how many pixels of a class the image has does not matter."""
    assert loss([0, 0, 1], "balanced") == pytest.approx(SEA_CLASS_WEIGHTS[0] * CORRECT * 2 / 3)
    assert loss([0, 1, 1], "balanced", targeted=True) == pytest.approx(SEA_CLASS_WEIGHTS[1] * WRONG * 2 / 3)
    assert len(SEA_CLASS_WEIGHTS) == len(SEG_CLASSES)
    assert sum(SEA_CLASS_WEIGHTS) == pytest.approx(1, abs=1e-3)
    rarest, most_frequent = (SEG_CLASSES[SEA_CLASS_WEIGHTS.index(pick(SEA_CLASS_WEIGHTS))] for pick in (max, min))
    assert (rarest, most_frequent) == ("bicycle", "background")


def test_targeted_weights_are_small_where_the_target_is_predicted():
    assert loss([0, 1], "segpgd", targeted=True) == pytest.approx(WRONG / 2)
    assert loss([0, 1], "segpgd", step_fraction=0.5, targeted=True) == pytest.approx(
        (0.25 * CORRECT + 0.75 * WRONG) / 2
    )
    assert loss([0, 1], "masked", targeted=True) == pytest.approx(WRONG / 2)
    assert loss([0, 1], "ce", targeted=True) == pytest.approx((CORRECT + WRONG) / 2)
    expected = ((1 - 0.7 / NORM) * CORRECT + (1 - 0.2 / NORM) * WRONG) / 2
    assert loss([0, 1], "cospgd", targeted=True) == pytest.approx(expected)


def test_weights_carry_no_gradient():
    """The gradient of cospgd is that of nll, p - one-hot, times the cosine."""
    logits, labels = pixels([0])
    logits = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(attack_losses(logits, labels, "cospgd", step_fraction=0).sum(), logits)
    assert gradient.flatten().tolist() == pytest.approx([0.7 / NORM * value for value in (0.7 - 1, 0.2, 0.1)])


def test_margin_of_labels_by_hand():
    """Mean logit of the absent classes, each at most MARGIN_CLIP, minus that of the present ones, each at least -MARGIN_CLIP."""
    logits = torch.tensor([[2.0, -1.0, 0.5], [30.0, -30.0, 1.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], requires_grad=True)
    labels = torch.tensor([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, IGNORE, IGNORE]])
    margins = attack_losses(logits, labels, "margin", step_fraction=0.0)
    assert margins[0].item() == pytest.approx(-1 - (2 + 0.5) / 2)
    assert margins[1].item() == pytest.approx((MARGIN_CLIP + 1) / 2 + MARGIN_CLIP)
    assert margins[2].item() == 2  # no class is present: the mean of the absent classes
    assert margins[3].item() == -1  # no class is absent
    margins.sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[0].tolist() == pytest.approx([-0.5, 1.0, -0.5])
    assert logits.grad[1].tolist() == [0.0, 0.0, 0.5]  # clipped logits have no gradient
    assert logits.grad[3].tolist() == [-1.0, 0.0, 0.0]  # ignored classes are not absent


def test_smooth_errors_of_labels_are_the_expected_number_of_errors():
    """Probabilities .8 of a present class, .4 and .3 of absent ones: .2 + .4 + .3 errors of three are expected."""
    logits, labels = torch.tensor([[0.8, 0.4, 0.3, 0.5]]).logit(), torch.tensor([[1, 0, 0, IGNORE]])
    assert attack_losses(logits, labels, "smooth-errors", step_fraction=0).item() == pytest.approx(0.3)


def test_error_rate_by_hand():
    labels = torch.tensor([[[0, 1], [2, IGNORE]]])
    logits = torch.zeros(1, 3, 2, 2)
    logits[0, 0, 0, 0] = logits[0, 2, 0, 1] = logits[0, 2, 1, 0] = 1  # correct, wrong, correct; the fourth is ignored
    assert error_rate(logits, labels).tolist() == pytest.approx([1 / 3])
    classifier_logits, classes = torch.tensor([[2.0, 3.0, -1.0, 9.0]]), torch.tensor([[1, 0, 0, IGNORE]])
    assert error_rate(classifier_logits, classes).tolist() == pytest.approx([1 / 3])
    assert error_rate(classifier_logits, torch.full((1, 4), IGNORE)).tolist() == [0]


def test_jensen_shannon_equals_torch_distributions():
    p, q = torch.tensor(P), torch.tensor([0.0, 1.0, 0.0])
    mixture = Categorical(probs=(p + q) / 2)
    expected = 0.5 * (kl_divergence(Categorical(probs=p), mixture) + kl_divergence(Categorical(probs=q), mixture))
    assert loss([1], "js") == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("kind", ATTACK_LOSSES)
def test_ignored_elements_change_nothing(kind):
    assert loss([0, IGNORE, 1, IGNORE], kind) == pytest.approx(loss([0, 1], kind))
    assert loss([IGNORE], kind) == 0


def test_label_losses_by_hand():
    """Logit 2 is correct for a present class, logit -1 is wrong for one; the third class is ignored."""
    logits, labels = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([[1, 1, IGNORE]])
    p, q = 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(1))
    p_cosine, q_cosine = (prob / math.hypot(prob, 1 - prob) for prob in (p, q))

    def label_loss(kind: str) -> float:
        return attack_losses(logits, labels, kind, step_fraction=0).item()

    assert label_loss("ce") == pytest.approx((-math.log(p) - math.log(q)) / 2)
    assert label_loss("masked") == pytest.approx(-math.log(p) / 2)
    assert label_loss("cospgd") == pytest.approx((-p_cosine * math.log(p) - q_cosine * math.log(q)) / 2)
    absent = attack_losses(torch.tensor([[-2.0]]), torch.tensor([[0]]), "masked", step_fraction=0)
    assert absent.item() == pytest.approx(-math.log(p))  # logit -2 is correct for an absent class


@pytest.mark.parametrize("kind", ATTACK_LOSSES)
def test_raising_a_loss_lowers_the_label_probability(kind):
    logits = torch.randn(2, 5, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labels = logits.detach().argmax(1)
    (gradient,) = torch.autograd.grad(attack_losses(logits, labels, kind, step_fraction=0.2).sum(), logits)
    assert (gradient.gather(1, labels[:, None]) < 0).all()
    assert gradient.isfinite().all()


def test_extreme_logits_have_finite_gradients():
    logits = torch.tensor([[[[80.0]], [[-80.0]]]]).requires_grad_()
    (gradient,) = torch.autograd.grad(
        attack_losses(logits, torch.zeros(1, 1, 1, dtype=torch.long), "ce", step_fraction=0).sum(), logits
    )
    assert gradient.isfinite().all()
