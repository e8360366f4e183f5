"""The loss that trains the generator: minus the attack objectives of its victims, and the distortion penalty.

Several victims share each batch, so that a step costs as much as with one. Their gradients on the adversarial images are
scaled to equal norms, or the victim that is easier to fool would dominate.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocctl.attacks.objectives import AttackObjective, attack_goal
from vocctl.attacks.threat import MAX_PIXEL
from vocctl.config import AttackLossConfig, TrainAdvConfig
from vocctl.distributed import all_reduce_sum, rank, world_size
from vocctl.errors import ConfigError
from vocctl.labels import IGNORE, classes_in_masks
from vocctl.losses.adversarial import attack_losses
from vocctl.losses.distributed import all_reduce_sum_autograd
from vocctl.robustness.generator import has_penalty
from vocctl.robustness.victims import ClassifierVictim, SegmenterVictim, Victim

VICTIM_CHECKPOINT = "best"
PIXEL_STRIDE = 2  # the objective of a segmenter is computed on every second pixel per axis
OBJECTIVES = {"ce": "ce", "cosine": "cospgd"}  # --attack-loss -> kind in losses/adversarial.py


class GeneratorLoss:
    """Loss of one batch. Each process computes it on its part of the batch; the value is the sum over processes."""

    def __init__(self, victims: Sequence[Victim], config: TrainAdvConfig) -> None:
        self.config = config
        self.objectives = [victim_objective(victim, config.attack_loss) for victim in victims]

    def __call__(self, network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """network: with the generator. images: (B, 3, S, S) in [0, 1]. labels: masks (B, S, S) or label sets (B, 20).

        The reported value is the mean loss over the victims. Its gradient is that of a surrogate: the adversarial images
        times the victims' gradients, equalized in norm. The two differ only by the victims' scale.
        """
        adversarial = network(images)
        totals = allocate_batch(len(images) * world_size(), [objective.batch_weight for objective in self.objectives])
        counts = local_counts(totals)
        parts = [batch.split(counts) for batch in (adversarial.detach(), images, labels)]
        losses, gradients = [], []
        for objective, total, attacked, clean, targets in zip(self.objectives, totals, *parts, strict=True):
            loss, gradient = self._victim_loss(objective, attacked, clean, targets, total)
            losses.append(loss)
            gradients.append(gradient)
        surrogate = (adversarial * torch.cat(equalize_gradient_norms(gradients))).sum() / len(self.objectives)
        loss = value_with_gradient_of(torch.stack(losses).mean(), surrogate)
        if has_penalty(self.config):
            size = perturbation_levels(adversarial - images, self.config.threat.penalty)
            loss = loss + self.config.threat.lam * size / world_size()
        return all_reduce_sum_autograd(loss)

    def _victim_loss(
        self, objective: "VictimObjective", attacked: Tensor, clean: Tensor, targets: Tensor, total: int
    ) -> tuple[Tensor, Tensor]:
        """One victim's loss on this process's images, and its gradient on them. total: its images over all processes."""
        if len(attacked) == 0:
            return attacked.sum(), attacked
        victim, feature_weight = objective.victim, self.config.attack_loss.feature_weight
        attacked = attacked.clone().requires_grad_()
        reference = objective.reference(clean, targets)
        if feature_weight:
            logits, features = victim.forward.forward_with_features(attacked)
            loss = -feature_weight * feature_distance(victim, clean, features)
        else:
            logits, loss = victim.forward(attacked), torch.zeros((), device=clean.device)
        loss = (loss - objective(logits, reference)) * (len(attacked) / total)
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


class SegmenterObjective:
    """The attack objective of a segmenter, to be maximized."""

    batch_weight = 1

    def __init__(self, victim: SegmenterVictim, settings: AttackLossConfig) -> None:
        self.victim, self.goal, self.against_prediction = victim, settings.goal, settings.reference == "prediction"
        self.loss = OBJECTIVES["cosine" if settings.attack_loss == "auto" else settings.attack_loss]

    @torch.no_grad()
    def reference(self, images: Tensor, labels: Tensor) -> Tensor:
        """(B, H, W): the masks, or what the victim predicts for the clean images."""
        return self.victim.forward(images).argmax(1) if self.against_prediction else labels

    def __call__(self, logits: Tensor, reference: Tensor) -> Tensor:
        """Mean over images. logits: (B, 21, H, W). Every PIXEL_STRIDE-th pixel counts: all take as long as the victim."""
        offset = PIXEL_STRIDE // 2
        logits, reference = (values[..., offset::PIXEL_STRIDE, offset::PIXEL_STRIDE] for values in (logits, reference))
        return AttackObjective(self.loss, attack_goal(self.goal, reference))(logits, 0.0).mean()


class ClassifierObjective:
    """The attack objective of a classifier, to be maximized."""

    batch_weight = 3  # a segmenter gives a signal at every pixel, a classifier only one per image

    def __init__(self, victim: ClassifierVictim, settings: AttackLossConfig) -> None:
        self.victim, self.goal, self.against_prediction = victim, settings.goal, settings.reference == "prediction"
        auto = "margin" if settings.goal == "untargeted" else "cosine"
        self.loss = auto if settings.attack_loss == "auto" else settings.attack_loss
        self.thresholds = torch.from_numpy(victim.thresholds).float().to(victim.setup.device)

    @torch.no_grad()
    def reference(self, images: Tensor, labels: Tensor) -> Tensor:
        """(B, 20): the label sets, or what the victim predicts for the clean images. labels: label sets or masks."""
        if self.against_prediction:
            return binarize_logits(self.victim.forward(images), self.thresholds)
        return labels if labels.ndim == 2 else classes_in_masks(labels)

    def __call__(self, logits: Tensor, reference: Tensor) -> Tensor:
        """Mean over images. logits: (B, 20).

        Without a goal, the present labels weigh as much in total as the absent ones, which are many more; the margin weighs
        them by itself.
        """
        if self.loss == "margin":
            return attack_losses(logits, reference, "margin", step_fraction=0.0).mean()
        groups = [reference]
        if self.goal == "untargeted":
            groups = [reference.where(reference == label, IGNORE) for label in (1, 0)]
        goals = [attack_goal(self.goal, group) for group in groups]
        return torch.stack([AttackObjective(OBJECTIVES[self.loss], goal)(logits, 0.0).mean() for goal in goals]).mean()


VictimObjective = SegmenterObjective | ClassifierObjective


def victim_objective(victim: Victim, settings: AttackLossConfig) -> VictimObjective:
    """Raises ConfigError: --attack-loss margin against a segmenter."""
    if isinstance(victim, ClassifierVictim):
        return ClassifierObjective(victim, settings)
    if settings.attack_loss == "margin":
        raise ConfigError("--attack-loss margin is for classifiers: use auto, ce or cosine against a segmenter")
    return SegmenterObjective(victim, settings)


def perturbation_levels(delta: Tensor, norm: str) -> Tensor:
    """Root mean square (l2) or maximum (linf) of the perturbation, in levels of 1 / 255, mean over images."""
    flat = delta.flatten(1) * MAX_PIXEL
    return (flat.abs().amax(1) if norm == "linf" else (flat.square().mean(1) + 1e-12).sqrt()).mean()


def feature_distance(victim: Victim, images: Tensor, features: Tensor) -> Tensor:
    """1 - cosine similarity of the deepest features of clean and adversarial images, mean over the batch; in [0, 2]."""
    with torch.no_grad():
        clean = victim.forward.features(images).flatten(1)
    return (1 - F.cosine_similarity(features.flatten(1), clean)).mean()


def binarize_logits(logits: Tensor, thresholds: Tensor) -> Tensor:
    """(B, K) of 1 and 0, as inference/thresholds.py's binarize: at least one label per image. thresholds: (K,)."""
    predicted = logits.sigmoid() >= thresholds
    most_probable = F.one_hot(logits.argmax(1), logits.shape[1]).bool()
    return (predicted | (most_probable & ~predicted.any(1, keepdim=True))).long()
