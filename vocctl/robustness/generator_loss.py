"""The loss that trains the CNN adversary: minus the attack objectives of its victims, and the distortion penalty.

Several victims share each batch, so that a step costs as much as with one. Their gradients on the adversarial images are
scaled to equal norms, or the victim that is easier to fool would dominate.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.attacks.objectives import AttackObjective, attack_goal
from vocctl.attacks.threat import MAX_PIXEL
from vocctl.config import TrainAdvConfig
from vocctl.distributed import all_reduce_sum, rank, world_size
from vocctl.labels import CLASSES, IGNORE, NUM_SEG_CLASSES
from vocctl.losses.adversarial import logit_margin
from vocctl.losses.distributed import all_reduce_sum_autograd
from vocctl.robustness.generator import has_penalty
from vocctl.robustness.outcomes import thresholds
from vocctl.robustness.victims import Victim

VICTIM_CHECKPOINT = "best"
PIXEL_STRIDE = 2  # the objective of a segmenter is computed on every second pixel per axis
CLASSIFIER_SHARE = (
    3  # images of each batch for a classifier, per image for a segmenter, whose every pixel gives a signal
)
OBJECTIVES = {"ce": "ce", "cosine": "cospgd"}  # --attack-loss -> kind in losses/adversarial.py


class GeneratorLoss:
    """Loss of one batch. Each process computes it on its part of the batch; the value is the sum over processes."""

    def __init__(self, victims: Sequence[Victim], config: TrainAdvConfig) -> None:
        self.victims, self.config = victims, config
        self.thresholds = [
            None if values is None else torch.from_numpy(values).float().to(victim.setup.device)
            for victim, values in zip(victims, victim_thresholds(victims, config), strict=True)
        ]
        self.weights = [1 if victim.segments else CLASSIFIER_SHARE for victim in victims]

    def __call__(self, network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """network: the adversary. images: (B, 3, S, S) in [0, 1]. labels: masks (B, S, S) or label sets (B, 20).

        The reported value is the mean loss over the victims. Its gradient is that of a surrogate: the adversarial images
        times the victims' gradients, equalized in norm. The two differ only by the victims' scale.
        """
        adversarial = network(images)
        totals = allocate_batch(len(images) * world_size(), self.weights)
        counts = local_counts(totals)
        parts = [batch.split(counts) for batch in (adversarial.detach(), images, labels)]
        losses, gradients = [], []
        for index, (attacked, clean, targets) in enumerate(zip(*parts, strict=True)):
            loss, gradient = self._victim_loss(index, attacked, clean, targets, totals[index])
            losses.append(loss)
            gradients.append(gradient)
        surrogate = (adversarial * torch.cat(equalize_gradient_norms(gradients))).sum() / len(self.victims)
        loss = value_with_gradient_of(torch.stack(losses).mean(), surrogate)
        if has_penalty(self.config):
            size = perturbation_levels(adversarial - images, self.config.threat.penalty)
            loss = loss + self.config.threat.lam * size / world_size()
        return all_reduce_sum_autograd(loss)

    def _victim_loss(
        self, index: int, attacked: Tensor, clean: Tensor, targets: Tensor, total: int
    ) -> tuple[Tensor, Tensor]:
        """One victim's loss on this process's images, and its gradient on them. total: its images over all processes."""
        if len(attacked) == 0:
            return attacked.sum(), attacked
        victim, settings = self.victims[index], self.config.attack_loss
        attacked = attacked.clone().requires_grad_()
        if settings.reference == "prediction":
            reference = predicted_labels(victim, clean, self.thresholds[index])
        else:
            reference = true_labels(victim, targets)
        if settings.feature_weight:
            logits, features = victim.forward.forward_with_features(attacked)
            loss = -settings.feature_weight * feature_distance(victim, clean, features)
        else:
            logits, loss = victim.forward(attacked), torch.zeros((), device=clean.device)
        loss = (loss - attack_objective(victim, logits, reference, self.config)) * (len(attacked) / total)
        (gradient,) = torch.autograd.grad(loss, attacked)
        return loss.detach(), gradient


def value_with_gradient_of(value: Tensor, surrogate: Tensor) -> Tensor:
    """A scalar with the value of the first and the gradient of the second."""
    return value + surrogate - surrogate.detach()


def allocate_batch(num_images: int, weights: list[int]) -> list[int]:
    """Split num_images in proportion to weights, at least one each; the remainder goes to the first of the heaviest."""
    others = num_images - len(weights)
    sizes = [1 + others * weight // sum(weights) for weight in weights]
    sizes[weights.index(max(weights))] += num_images - sum(sizes)
    return sizes


def local_counts(totals: list[int]) -> list[int]:
    """Images of each victim in this process, which has every world_size-th image of the batch as in EpochBatchSampler."""
    owners = [victim for victim, count in enumerate(totals) for _ in range(count)]
    local = owners[rank() :: world_size()]
    return [local.count(victim) for victim in range(len(totals))]


def equalize_gradient_norms(gradients: list[Tensor]) -> list[Tensor]:
    """Scale gradients (B, 3, H, W) to equal L2 norms over all processes' images: to the mean of their norms."""
    squares = torch.stack([gradient.square().sum() for gradient in gradients])
    norms = all_reduce_sum(squares).sqrt().clamp(min=1e-12)
    return [norms.mean() / norm * gradient for norm, gradient in zip(norms, gradients, strict=True)]


def attack_objective(victim: Victim, logits: Tensor, reference: Tensor, config: TrainAdvConfig) -> Tensor:
    """The victim's attack objective, mean over images, to be maximized.

    Except for the margin, a classifier's present labels weigh as much in total as its absent ones, which are many more.
    """
    kind, goal = config.attack_loss.attack_loss, config.attack_loss.goal
    if kind == "auto":
        kind = "cosine" if victim.segments or goal != "untargeted" else "margin"
    if kind == "margin":
        return logit_margin(logits, reference).mean()
    if victim.segments:  # an objective on every pixel takes as long as the victim itself
        offset = PIXEL_STRIDE // 2
        logits, reference = (values[..., offset::PIXEL_STRIDE, offset::PIXEL_STRIDE] for values in (logits, reference))
    groups = [reference]
    if not victim.segments and goal == "untargeted":
        groups = [reference.where(reference == label, IGNORE) for label in (1, 0)]
    values = [AttackObjective(OBJECTIVES[kind], attack_goal(goal, group))(logits, 0.0).mean() for group in groups]
    return torch.stack(values).mean()


def victim_thresholds(victims: Sequence[Victim], config: TrainAdvConfig) -> list[np.ndarray | None]:
    """(20,) of each classifier: its own thresholds where predicted labels matter, else 0.5. None of a segmenter."""
    own = config.attack_loss.goal != "untargeted" or config.attack_loss.reference == "prediction"
    return [
        None if victim.segments else thresholds(victim, VICTIM_CHECKPOINT) if own else np.full(len(CLASSES), 0.5)
        for victim in victims
    ]


def perturbation_levels(delta: Tensor, norm: str) -> Tensor:
    """Root mean square (l2) or maximum (linf) of the perturbation, in levels of 1 / 255, mean over images."""
    flat = delta.flatten(1) * MAX_PIXEL
    return (flat.abs().amax(1) if norm == "linf" else (flat.square().mean(1) + 1e-12).sqrt()).mean()


def feature_distance(victim: Victim, images: Tensor, features: Tensor) -> Tensor:
    """1 - cosine similarity of the deepest features of clean and adversarial images, mean over the batch; in [0, 2]."""
    with torch.no_grad():
        clean = victim.forward.features(images).flatten(1)
    return (1 - F.cosine_similarity(features.flatten(1), clean)).mean()


def true_labels(victim: Victim, labels: Tensor) -> Tensor:
    """Masks (B, H, W) for a segmenter; label sets (B, 20) for a classifier, from the masks if labels are masks."""
    if victim.segments or labels.ndim == 2:
        return labels
    return classes_in_masks(labels)


def classes_in_masks(masks: Tensor) -> Tensor:
    """(B, 20) int64: 1 if the mask (B, H, W) shows the class. IGNORE is not a class."""
    present = torch.zeros(len(masks), IGNORE + 1, dtype=torch.long, device=masks.device)
    present.scatter_(1, masks.flatten(1), 1)
    return present[:, 1:NUM_SEG_CLASSES]


@torch.no_grad()
def predicted_labels(victim: Victim, images: Tensor, limits: Tensor | None) -> Tensor:
    """What the victim predicts for clean images: label maps, or label sets (B, 20) of 1 and 0. limits: (20,) thresholds."""
    logits = victim.forward(images)
    return logits.argmax(1) if limits is None else binarize_logits(logits, limits)


def binarize_logits(logits: Tensor, limits: Tensor) -> Tensor:
    """(B, K) of 1 and 0, as inference/thresholds.py's binarize: at least one label an image. limits: (K,) probabilities."""
    predicted = logits.sigmoid() >= limits
    most_probable = F.one_hot(logits.argmax(1), logits.shape[1]).bool()
    return (predicted | (most_probable & ~predicted.any(1, keepdim=True))).long()
