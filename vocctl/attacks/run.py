"""Run one attack of the table on a batch."""

import importlib
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from vocctl.attacks.draws import Generators
from vocctl.attacks.generator import TrainedGenerator
from vocctl.attacks.objectives import AttackGoal, AttackObjective, Forward, Objective, evaluate, progress_objective
from vocctl.attacks.table import Attack, AttackSpec
from vocctl.attacks.threat import Threat, per_image


class AttackFunction(Protocol):
    """The signature of every attack in the table.

    images: (B, 3, H, W) in [0, 1]. objective: what to maximize. steps: steps, or queries of a black-box attack. step_length:
    of attacks with steps of a fixed length, in the threat's norm; None: the attack's own. generators: the source of all
    random numbers, one for each image, so that an image's result does not depend on its batch. Returns (B, 3, H, W) inside
    the threat model, not yet rounded to 8 bits.
    """

    def __call__(
        self, forward: Forward, images: Tensor, objective: AttackObjective, threat: Threat, *,
        steps: int, step_length: float | None, generators: Generators,
    ) -> Tensor: ...  # fmt: skip


def load_function(attack: Attack) -> AttackFunction:
    """Import the function of a row. Raises ValueError for rows without one: ensembles and trained generators."""
    if not attack.function:
        raise ValueError(f"{attack.name} has no function of its own: run its members, or pass its trained generator")
    module, _, name = attack.function.partition(":")
    function: AttackFunction = getattr(importlib.import_module(module), name)
    return function


def run_attack(
    spec: AttackSpec,
    forward: Forward,
    images: Tensor,
    goal: AttackGoal,
    threat: Threat,
    *,
    generators: Generators,
    step_length: float | None = None,
    trained: TrainedGenerator | None = None,
) -> Tensor:
    """Adversarial images (B, 3, H, W) inside the threat model, rounded to 8 bits.

    images: (B, 3, H, W), multiples of 1 / 255 in [0, 1]. generators, step_length: as in AttackFunction. trained: the loaded
    generator of adv:RUN. Raises AttackError if the attack leaves the threat model.
    """
    function = load_function(spec.attack) if trained is None else trained
    objective = AttackObjective(spec.attack.loss, goal)

    def run_once() -> Tensor:
        return function(
            forward, images, objective, threat, steps=spec.steps, step_length=step_length, generators=generators
        )

    progress = progress_objective(objective)
    adv = run_once() if spec.restarts == 1 else with_restarts(run_once, forward, progress, spec.restarts)
    adv = threat.quantized(adv, images)
    threat.check(adv, images)
    return adv


def with_restarts(run_once: Callable[[], Tensor], forward: Forward, objective: Objective, restarts: int) -> Tensor:
    """Run an attack `restarts` times and return, for each image, the result with the highest objective."""
    best = run_once()
    best_values = evaluate(forward, best, objective)
    for _ in range(restarts - 1):
        adv = run_once()
        values = evaluate(forward, adv, objective)
        best = torch.where(per_image(values > best_values, best), adv, best)
        best_values = torch.maximum(values, best_values)
    return best
