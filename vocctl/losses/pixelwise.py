"""Losses per pixel for segmentation. logits: (B, K, H, W); targets: (B, H, W) int64 labels.

Pixels whose target is IGNORE are masked out before anything is summed. A batch in which no pixel is left gives 0, with a
gradient of 0. Class weights, (K,), multiply a pixel's loss and its share of the mean.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from vocctl.labels import IGNORE
from vocctl.torchvision_ops import declare_missing_ops

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, targets: Tensor, *, weights: Tensor | None = None) -> Tensor:
    """Mean of -log p(true class) over the labelled pixels of the batch, weighted by their classes."""
    total = F.cross_entropy(logits.float(), targets, weight=weights, ignore_index=IGNORE, reduction="sum")
    keep = targets != IGNORE
    if weights is None:
        return total / keep.sum().clamp(min=1)
    return total / (weights[targets.where(keep, 0)] * keep).sum().clamp(min=1e-8)


def dice_loss(logits: Tensor, targets: Tensor, *, smooth: float = 1.0) -> Tensor:
    """1 - soft Dice, mean over the K classes; pixels are summed over the whole batch.

    Source: Milletari et al., arXiv 1606.04797, without the squares. smooth keeps a class that the batch lacks defined: it
    then costs what probability it was given.
    """
    keep = (targets != IGNORE).flatten()  # (B*H*W,)
    labels = targets.flatten().where(keep, 0)
    probs = logits.float().softmax(dim=1)
    true_probs = probs.gather(1, targets.where(targets != IGNORE, 0)[:, None]).flatten() * keep
    classes = logits.shape[1]
    zeros = torch.zeros(classes, device=logits.device)
    shared = zeros.index_add(0, labels, true_probs)  # (K,)
    truth = zeros.index_add(0, labels, keep.float())
    predicted = (probs * (targets != IGNORE)[:, None]).sum((0, 2, 3))
    return 1 - ((2 * shared + smooth) / (truth + predicted + smooth)).mean()


def ce_dice_loss(logits: Tensor, targets: Tensor, *, weights: Tensor | None = None) -> Tensor:
    """The sum of the two."""
    return cross_entropy(logits, targets, weights=weights) + dice_loss(logits, targets)


def focal_loss(logits: Tensor, targets: Tensor, *, gamma: float = 2.0, weights: Tensor | None = None) -> Tensor:
    """Mean of (1 - p)^gamma * -log p over the labelled pixels. Source: Lin et al., arXiv 1708.02002, without alpha."""
    keep = targets != IGNORE
    log_probs = -F.cross_entropy(logits.float(), targets, ignore_index=IGNORE, reduction="none")  # 0 where ignored
    per_pixel = -((1 - log_probs.exp()) ** gamma) * log_probs
    share = keep.float() if weights is None else weights[targets.where(keep, 0)] * keep
    return (per_pixel * share).sum() / share.sum().clamp(min=1e-8)


def lovasz_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Lovasz-softmax, mean over the classes present. Source: Berman et al., arXiv 1705.08790, as written in smp."""
    declare_missing_ops()
    from segmentation_models_pytorch.losses import LovaszLoss

    if not (targets != IGNORE).any():
        return logits.float().sum() * 0
    return LovaszLoss("multiclass", ignore_index=IGNORE)(logits.float(), targets)


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
