"""Losses for several labels an image. logits: (B, K); targets: (B, K), 1, 0 or IGNORE, int.

A pair whose target is IGNORE (only difficult objects of the class) is masked out before anything is summed. Each loss is
the mean over the pairs that are left, of all ranks, 0 with a gradient of 0 where none is. pos_weight, (K,), multiplies
positives' terms.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from vocctl.labels import IGNORE
from vocctl.losses.distributed import all_reduce_sum_autograd

Loss = Callable[[Tensor, Tensor], Tensor]


def bce_loss(logits: Tensor, targets: Tensor, *, pos_weight: Tensor | None = None) -> Tensor:
    """Binary cross-entropy: -log p of positives, -log(1 - p) of negatives."""
    true = (targets == 1).float()
    per_pair = F.binary_cross_entropy_with_logits(logits.float(), true, pos_weight=pos_weight, reduction="none")
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
    """Asymmetric loss: easy negatives count little, those below the margin nothing. Source: arXiv 2009.14119, eq. 7.

    The focusing factors carry no gradient, as in the authors' training.
    """
    logits = logits.float()
    probs = logits.sigmoid()
    shifted = (probs - margin).clamp(min=0)
    positive = (1 - probs).detach() ** gamma_pos * F.logsigmoid(logits)
    negative = shifted.detach() ** gamma_neg * torch.log1p(-shifted.clamp(max=1 - 1e-6))
    if pos_weight is not None:
        positive = positive * pos_weight
    return _masked_mean(-torch.where(targets == 1, positive, negative), targets)


def focal_loss(logits: Tensor, targets: Tensor, *, gamma: float = 2.0, pos_weight: Tensor | None = None) -> Tensor:
    """(1 - p of the truth)^gamma times binary cross-entropy. Source: Lin et al., arXiv 1708.02002, without alpha."""
    true = (targets == 1).float()
    nll = F.binary_cross_entropy_with_logits(logits.float(), true, reduction="none")
    per_pair = -torch.expm1(-nll)  # 1 - p of the truth
    per_pair = per_pair**gamma * nll
    if pos_weight is not None:
        per_pair = per_pair * torch.where(targets == 1, pos_weight, torch.ones_like(pos_weight))
    return _masked_mean(per_pair, targets)


def _masked_mean(per_pair: Tensor, targets: Tensor) -> Tensor:
    keep = targets != IGNORE
    return all_reduce_sum_autograd(per_pair.where(keep, 0).sum()) / all_reduce_sum_autograd(keep.sum()).clamp(min=1)


def loss_function(name: str, pos_weight: Tensor | None) -> Loss:
    """The loss of that name (config.CLS_LOSSES), as a function of logits and targets."""
    functions = {"bce": bce_loss, "asl": asl_loss, "focal": focal_loss}
    loss = functions[name]
    return lambda logits, targets: loss(logits, targets, pos_weight=pos_weight)
