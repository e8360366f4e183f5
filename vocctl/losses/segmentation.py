"""Segmentation losses. logits: (B, K, H, W); targets: (B, H, W) int64 classes.

Pixels whose target is IGNORE are masked before the sum over the batch and over all processes. A batch without a labeled
pixel has a loss of 0, with a gradient of 0. Class weights, (K,), multiply a pixel's loss and its weight in the mean.

LOSSES is the table: to add a loss, add its function and its row here and its name to PixelLoss in config/segmentation.py.
If it has class weights, add its name to LossConfig's check there. A setting of a loss is a field of LossConfig, which
loss_function reads.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from vocctl.compat import declare_missing_ops
from vocctl.config import LossConfig
from vocctl.distributed import world_size
from vocctl.labels import IGNORE
from vocctl.losses.distributed import all_reduce_sum_autograd

Loss = Callable[[Tensor, Tensor], Tensor]


def cross_entropy(logits: Tensor, targets: Tensor, *, weights: Tensor | None = None) -> Tensor:
    """Weighted mean of -log p(target) over the labeled pixels."""
    loss_sum = F.cross_entropy(logits.float(), targets, weight=weights, ignore_index=IGNORE, reduction="sum")
    if weights is None:
        num_pixels = all_reduce_sum_autograd((targets != IGNORE).sum())
        return all_reduce_sum_autograd(loss_sum) / num_pixels.clamp(min=1)
    weight_sum = all_reduce_sum_autograd(_pixel_weights(targets, weights).sum())
    return all_reduce_sum_autograd(loss_sum) / weight_sum.clamp(min=1e-8)


def dice_loss(logits: Tensor, targets: Tensor, *, smooth: float = 1.0) -> Tensor:
    """1 - soft Dice, mean over the classes in the batch. Pixels are summed over the whole batch, not per image.

    Milletari et al., arXiv 1606.04797, without the squares. A class that is absent from the batch has no term: the term
    would be lowest at a probability of 0 everywhere, and rare classes would never be predicted. A false positive of an
    absent class still raises the loss, because the present classes lose its probability.
    """
    return _dice(logits.float().softmax(dim=1), targets, smooth)


def _dice(probs: Tensor, targets: Tensor, smooth: float) -> Tensor:
    """probs: (B, K, H, W)."""
    classes = torch.arange(probs.shape[1], device=probs.device)[:, None, None]
    one_hot = (targets[:, None] == classes).float()  # (B, K, H, W), 0 for all classes where ignored
    keep = (targets != IGNORE).float()[:, None]
    intersection, target_sum, predicted_sum = (
        all_reduce_sum_autograd(values.sum((2, 3)).sum(0)) for values in (probs * one_hot, one_hot, probs * keep)
    )  # (K,)
    present = target_sum > 0
    class_losses = 1 - (2 * intersection + smooth) / (target_sum + predicted_sum + smooth)  # (K,)
    return (class_losses * present).sum() / present.sum().clamp(min=1)


def ce_dice_loss(logits: Tensor, targets: Tensor, *, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy + Dice loss, from one softmax. The class weights apply to the cross-entropy."""
    log_probs = logits.float().log_softmax(dim=1)
    pixel_weights = _pixel_weights(targets, weights)
    labels = targets.where(targets != IGNORE, 0)
    ce_sum = -(log_probs.gather(1, labels[:, None])[:, 0] * pixel_weights).sum()
    weight_sum = all_reduce_sum_autograd(pixel_weights.sum()).clamp(min=1e-8)
    return all_reduce_sum_autograd(ce_sum) / weight_sum + _dice(log_probs.exp(), targets, smooth=1.0)


def focal_loss(logits: Tensor, targets: Tensor, *, gamma: float = 2.0, weights: Tensor | None = None) -> Tensor:
    """Weighted mean of (1 - p)^gamma * -log p, p = p(target), over the labeled pixels.

    Lin et al., arXiv 1708.02002, without alpha.
    """
    log_probs = -F.cross_entropy(logits.float(), targets, ignore_index=IGNORE, reduction="none")  # 0 where ignored
    per_pixel = -((1 - log_probs.exp()) ** gamma) * log_probs
    pixel_weights = _pixel_weights(targets, weights)
    weight_sum = all_reduce_sum_autograd(pixel_weights.sum()).clamp(min=1e-8)
    return all_reduce_sum_autograd((per_pixel * pixel_weights).sum()) / weight_sum


def _pixel_weights(targets: Tensor, weights: Tensor | None) -> Tensor:
    """(B, H, W) float: the weight of each pixel's class, 1 without class weights, 0 where ignored."""
    keep = targets != IGNORE
    return keep.float() if weights is None else weights[targets.where(keep, 0)] * keep


def lovasz_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Lovasz-softmax, mean over the classes in the batch. Berman et al., arXiv 1705.08790; implementation of smp.

    It sorts all pixels, so it cannot be summed over processes: with several processes it is the mean of their losses.
    """
    declare_missing_ops()
    from segmentation_models_pytorch.losses import LovaszLoss

    if (targets != IGNORE).any():
        loss = LovaszLoss("multiclass", ignore_index=IGNORE)(logits.float(), targets)
    else:
        loss = logits.float().sum() * 0
    return all_reduce_sum_autograd(loss) / world_size()


LOSSES: dict[str, Callable[..., Tensor]] = {
    "ce": cross_entropy, "dice": dice_loss, "ce+dice": ce_dice_loss, "focal": focal_loss, "lovasz": lovasz_loss,
}  # fmt: skip


def loss_function(config: LossConfig, device: torch.device) -> Loss:
    """The loss of these settings as a function of logits and targets.

    LossConfig accepts class weights only for losses that have a `weights` parameter.
    """
    loss, class_weights = LOSSES[config.loss], config.class_weights
    return partial(loss, weights=torch.tensor(class_weights, device=device)) if class_weights else loss
