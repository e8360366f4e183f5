"""Multi-label classification losses. logits: (B, K); targets: (B, K), 1 present, 0 absent or IGNORE.

Mixed images (training/mixup.py) have targets t between 0 and 1. Every loss is linear in them: t times its term of a positive
pair plus 1 - t times its term of a negative one, which is mixup's definition, arXiv 1710.09412.

Pairs of image and class whose target is IGNORE (the image shows only difficult objects of the class) are masked before the
sum. Each loss is the mean over the other pairs of all processes; it is 0, with a gradient of 0, if there are none.
pos_weight, (K,), multiplies the terms of positives.

LOSSES is the table: to add a loss, add its function and its row here and its name to LabelLoss in config/classification.py.
A setting of a loss is a field of ClsLossConfig, which loss_function reads.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from vocctl.config import ClsLossConfig
from vocctl.labels import IGNORE
from vocctl.losses.distributed import all_reduce_sum_autograd

Loss = Callable[[Tensor, Tensor], Tensor]


def bce_loss(logits: Tensor, targets: Tensor, *, pos_weight: Tensor | None = None) -> Tensor:
    """Binary cross-entropy: -log p for positives, -log(1 - p) for negatives."""
    per_pair = F.binary_cross_entropy_with_logits(
        logits.float(), _without_ignored(targets), pos_weight=pos_weight, reduction="none"
    )
    return _masked_mean(per_pair, targets)


def asl_loss(
    logits: Tensor,
    targets: Tensor,
    *,
    gamma_pos: float = 0.0,
    gamma_neg: float = 4.0,
    margin: float = 0.05,
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Asymmetric loss: easy negatives have small weights, negatives with p below the margin none. arXiv 2009.14119, eq. 7.

    The focusing factors (1 - p)^gamma_pos and p_m^gamma_neg carry no gradient, as in the authors' training code.
    """
    logits = logits.float()
    probs = logits.sigmoid()
    shifted_probs = (probs - margin).clamp(min=0)  # p_m in the paper
    positive_terms = -((1 - probs).detach() ** gamma_pos) * F.logsigmoid(logits)
    negative_terms = -(shifted_probs.detach() ** gamma_neg) * torch.log1p(-shifted_probs.clamp(max=1 - 1e-6))
    return _masked_mean(_interpolated(positive_terms, negative_terms, targets, pos_weight), targets)


def focal_loss(logits: Tensor, targets: Tensor, *, gamma: float = 2.0, pos_weight: Tensor | None = None) -> Tensor:
    """(1 - p_t)^gamma * -log(p_t), p_t the probability of the target. Lin et al., arXiv 1708.02002, without alpha."""

    def terms(target: float) -> Tensor:
        constant = torch.full_like(logits, target, dtype=torch.float32)
        nll = F.binary_cross_entropy_with_logits(logits.float(), constant, reduction="none")  # -log(p_t)
        return (-torch.expm1(-nll)) ** gamma * nll  # (1 - p_t)^gamma * -log(p_t)

    return _masked_mean(_interpolated(terms(1.0), terms(0.0), targets, pos_weight), targets)


def _interpolated(positive_terms: Tensor, negative_terms: Tensor, targets: Tensor, pos_weight: Tensor | None) -> Tensor:
    """t * positive_terms + (1 - t) * negative_terms. The value of ignored pairs has no meaning."""
    positive = _without_ignored(targets)
    if pos_weight is not None:
        positive_terms = positive_terms * pos_weight
    return positive * positive_terms + (1 - positive) * negative_terms


def _without_ignored(targets: Tensor) -> Tensor:
    """Targets as float32, ignored ones as 0."""
    return targets.where(targets != IGNORE, 0).float()


def _masked_mean(per_pair: Tensor, targets: Tensor) -> Tensor:
    keep = targets != IGNORE
    return all_reduce_sum_autograd(per_pair.where(keep, 0).sum()) / all_reduce_sum_autograd(keep.sum()).clamp(min=1)


LOSSES: dict[str, Callable[..., Tensor]] = {"bce": bce_loss, "asl": asl_loss, "focal": focal_loss}


def loss_function(config: ClsLossConfig, pos_weight: Tensor | None) -> Loss:
    """The loss of these settings as a function of logits and targets. pos_weight: (K,)."""
    return partial(LOSSES[config.loss], pos_weight=pos_weight)
