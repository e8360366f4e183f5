"""Losses per pixel for segmentation. logits: (B, K, H, W); targets: (B, H, W) int64 labels.

Pixels whose target is IGNORE are masked out before anything is summed, over the batch and over the ranks that share it. A
batch in which no pixel is left gives 0, with a gradient of 0. Class weights, (K,), multiply a pixel's loss and its share of
the mean.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from vocctl.compat import declare_missing_ops
from vocctl.distributed import world_size
from vocctl.labels import IGNORE
from vocctl.losses.distributed import all_reduce_sum_autograd

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, targets: Tensor, *, weights: Tensor | None = None) -> Tensor:
    """Mean of -log p(true class) over the labeled pixels of the batch, weighted by their classes."""
    lost = F.cross_entropy(logits.float(), targets, weight=weights, ignore_index=IGNORE, reduction="sum")
    keep = targets != IGNORE
    if weights is None:
        return all_reduce_sum_autograd(lost) / all_reduce_sum_autograd(keep.sum()).clamp(min=1)
    return all_reduce_sum_autograd(lost) / all_reduce_sum_autograd(
        (weights[targets.where(keep, 0)] * keep).sum()
    ).clamp(min=1e-8)


def dice_loss(logits: Tensor, targets: Tensor, *, smooth: float = 1.0) -> Tensor:
    """1 - soft Dice, mean over the classes that the batch holds; pixels are summed over the whole batch.

    Source: Milletari et al., arXiv 1606.04797, without the squares. A class that the batch lacks has no term: its best
    answer would be a probability of 0, a pull that wipes rare classes out. Probability given to it is paid for by the
    classes it was taken from.
    """
    return _dice(logits.float().softmax(dim=1), targets, smooth)


def _dice(probs: Tensor, targets: Tensor, smooth: float) -> Tensor:
    classes = torch.arange(probs.shape[1], device=probs.device)[:, None, None]
    true = (targets[:, None] == classes).float()  # (B, K, H, W), void in none of them
    keep = (targets != IGNORE).float()[:, None]
    shared, truth, predicted = (
        all_reduce_sum_autograd(held.sum((2, 3)).sum(0)) for held in (probs * true, true, probs * keep)
    )  # (K,)
    present = truth > 0
    lost = 1 - (2 * shared + smooth) / (truth + predicted + smooth)  # (K,)
    return (lost * present).sum() / present.sum().clamp(min=1)


def ce_dice_loss(logits: Tensor, targets: Tensor, *, weights: Tensor | None = None) -> Tensor:
    """The sum of the two, from one softmax."""
    log_probs = logits.float().log_softmax(dim=1)
    keep = targets != IGNORE
    labels = targets.where(keep, 0)
    share = keep.float() if weights is None else weights[labels] * keep
    lost = -(log_probs.gather(1, labels[:, None])[:, 0] * share).sum()
    return all_reduce_sum_autograd(lost) / all_reduce_sum_autograd(share.sum()).clamp(min=1e-8) + _dice(
        log_probs.exp(), targets, smooth=1.0
    )


def focal_loss(logits: Tensor, targets: Tensor, *, gamma: float = 2.0, weights: Tensor | None = None) -> Tensor:
    """Mean of (1 - p)^gamma * -log p over the labeled pixels. Source: Lin et al., arXiv 1708.02002, without alpha."""
    keep = targets != IGNORE
    log_probs = -F.cross_entropy(logits.float(), targets, ignore_index=IGNORE, reduction="none")  # 0 where ignored
    per_pixel = -((1 - log_probs.exp()) ** gamma) * log_probs
    share = keep.float() if weights is None else weights[targets.where(keep, 0)] * keep
    return all_reduce_sum_autograd((per_pixel * share).sum()) / all_reduce_sum_autograd(share.sum()).clamp(min=1e-8)


def lovasz_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Lovasz-softmax, mean over the classes present. Source: Berman et al., arXiv 1705.08790, as written in smp.

    It sorts pixels and can't be summed over ranks: of several, the mean of each rank's own.
    """
    declare_missing_ops()
    from segmentation_models_pytorch.losses import LovaszLoss

    held = (targets != IGNORE).any()
    loss = LovaszLoss("multiclass", ignore_index=IGNORE)(logits.float(), targets) if held else logits.float().sum() * 0
    return all_reduce_sum_autograd(loss) / world_size()


def loss_function(name: str, class_weights: tuple[float, ...], device: torch.device) -> Loss:
    """The loss of that name (config.LOSSES), as a function of logits and targets."""
    weights = torch.tensor(class_weights, device=device) if class_weights else None
    functions: dict[str, Loss] = {
        "ce": lambda logits, targets: cross_entropy(logits, targets, weights=weights),
        "dice": dice_loss,
        "ce+dice": lambda logits, targets: ce_dice_loss(logits, targets, weights=weights),
        "focal": lambda logits, targets: focal_loss(logits, targets, weights=weights),
        "lovasz": lovasz_loss,
    }
    return functions[name]
