"""What an attack is after, as a function of the model's logits that it raises.

A goal names it: `untargeted` (away from the labels), `target:CLASS` (a classifier that finds CLASS alone, a segmenter that
finds it everywhere), `hide:CLASS` (CLASS is not found where it is; the rest stays as it is).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vocctl.labels import CLASSES, IGNORE, SEG_CLASSES
from vocctl.losses.adversarial import attack_values

Forward = Callable[[Tensor], Tensor]  # pixels (B, 3, H, W) in [0, 1] to logits
Objective = Callable[[Tensor, float], Tensor]  # logits, share of the steps done in [0, 1), to (B,) values to raise


@dataclass(frozen=True)
class AttackGoal:
    """Labels of one batch, (B, H, W) or (B, K) of 1 and 0, IGNORE where they say nothing."""

    away: Tensor | None = None
    toward: Tensor | None = None


def attack_goal(goal: str, labels: Tensor) -> AttackGoal:
    """The aim of a goal on images with these labels: true ones, or the model's own on the clean images."""
    kind, _, name = goal.partition(":")
    if kind == "untargeted":
        return AttackGoal(away=labels)
    if labels.ndim == 3:
        place = SEG_CLASSES.index(name)
        mine, others = labels == place, labels != place
        wanted = torch.full_like(labels, place)
    else:
        column = torch.arange(labels.shape[1], device=labels.device) == CLASSES.index(name)
        mine, others = column & (labels == 1), ~column.expand_as(labels)
        wanted = column.to(labels.dtype).expand_as(labels)
    if kind == "target":
        return AttackGoal(toward=wanted)
    return AttackGoal(away=labels.where(mine, IGNORE), toward=labels.where(others, IGNORE))


def objective(kind: str, aimed: AttackGoal) -> Objective:
    """kind: one of losses/adversarial.py's KINDS."""

    def value(logits: Tensor, done: float) -> Tensor:
        total = torch.zeros(len(logits), device=logits.device)
        if aimed.away is not None:
            total = total + attack_values(logits, aimed.away, kind, done=done)
        if aimed.toward is not None:
            total = total - attack_values(logits, aimed.toward, kind, done=done, toward=True)
        return total

    return value
