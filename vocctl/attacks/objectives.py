"""What an attack maximizes: a function of the model's logits that follows from the attack's loss and its goal.

Goals, as --goal takes them: `untargeted` (the model should stop predicting the labels), `target:CLASS` (a classifier should
predict CLASS alone, a segmenter should predict it at every pixel), `hide:CLASS` (the model should not predict CLASS where it
is, and its other predictions should stay as they are).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vocctl.labels import CLASSES, IGNORE, SEG_CLASSES
from vocctl.losses.adversarial import attack_losses, error_rate

Forward = Callable[[Tensor], Tensor]  # images (B, 3, H, W) in [0, 1] to logits
# logits and the fraction of the attack's steps that are done, in [0, 1), to one value per image, (B,)
Objective = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True)
class GoalTerm:
    """labels: (B, H, W) classes of a segmenter, or (B, K) of 1 and 0 of a classifier; IGNORE where the goal has no label.

    targeted: True where the model should predict the labels, False where it should not.
    """

    labels: Tensor
    targeted: bool


@dataclass(frozen=True)
class AttackGoal:
    """The goal of an attack on one batch: one term, or two for hide:CLASS."""

    terms: tuple[GoalTerm, ...]

    @property
    def untargeted(self) -> bool:
        return not any(term.targeted for term in self.terms)


def attack_goal(goal: str, labels: Tensor) -> AttackGoal:
    """Resolve untargeted, target:CLASS or hide:CLASS for one batch.

    labels: the ground truth, or the model's own predictions on the clean images; shapes as in GoalTerm.
    """
    kind, _, class_name = goal.partition(":")
    if kind == "untargeted":
        return AttackGoal((GoalTerm(labels, targeted=False),))
    if labels.ndim == 3:
        class_index = SEG_CLASSES.index(class_name)
        shows_class, stays = labels == class_index, labels != class_index
        target_labels = torch.full_like(labels, class_index)
    else:
        column = torch.arange(labels.shape[1], device=labels.device) == CLASSES.index(class_name)
        shows_class, stays = column & (labels == 1), ~column.expand_as(labels)
        target_labels = column.to(labels.dtype).expand_as(labels)
    if kind == "target":
        return AttackGoal((GoalTerm(target_labels, targeted=True),))
    return AttackGoal(
        (
            GoalTerm(labels.where(shows_class, IGNORE), targeted=False),
            GoalTerm(labels.where(stays, IGNORE), targeted=True),
        )
    )


@dataclass(frozen=True)
class AttackObjective:
    """The Objective of one attack on one batch.

    loss: a key of ATTACK_LOSSES in losses/adversarial.py. It is raised on untargeted terms and lowered on targeted terms.
    """

    loss: str
    goal: AttackGoal

    def __call__(self, logits: Tensor, step_fraction: float) -> Tensor:
        total = torch.zeros(len(logits), device=logits.device)
        for term in self.goal.terms:
            losses = attack_losses(logits, term.labels, self.loss, step_fraction=step_fraction, targeted=term.targeted)
            total = total - losses if term.targeted else total + losses
        return total


RISING_LOSSES = ("ce", "margin", "smooth-errors")  # an attack that succeeds further has a higher value


def progress_objective(objective: AttackObjective) -> Objective:
    """What compares the iterates of an attack, and its restarts: it rises where the attack succeeds.

    The error rate of a segmenter's pixels; for a classifier the attack's own objective, or the error rate of its labels
    where the objective falls as labels become wrong. With a goal: the cross-entropy of the goal.
    """
    if not objective.goal.untargeted:
        return replace(objective, loss="ce")
    (term,) = objective.goal.terms
    if term.labels.ndim == 2 and objective.loss in RISING_LOSSES:
        return objective
    return lambda logits, step_fraction: error_rate(logits, term.labels)


@torch.no_grad()
def evaluate(forward: Forward, adv: Tensor, objective: Objective) -> Tensor:
    """The objective of each image, (B,), with the weights of the first step."""
    return objective(forward(adv), 0.0)
