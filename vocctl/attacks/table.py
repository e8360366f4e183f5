"""The attacks by name: `fgsm`, `pgd-20`, `pgd-20x5` (five restarts), `apgd-50`, `segpgd-20`, `cospgd-20`, `sea-50` (three
runs of 50 steps), `square-1000` (queries), `noise`, `adv:RUN` (a trained adversary).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vocctl.attacks.gradient import apgd, fgsm, pgd, with_restarts
from vocctl.attacks.objectives import AttackGoal, Forward, Objective, objective
from vocctl.attacks.sea import SEA_LOSSES, pixel_error_rate, sea_member
from vocctl.attacks.square import square
from vocctl.attacks.steps import noise
from vocctl.attacks.threat import Threat
from vocctl.config import closest
from vocctl.errors import ConfigError

DEFAULT_STEPS = {
    "fgsm": 1, "pgd": 20, "segpgd": 20, "cospgd": 20, "apgd": 20, "sea": 50, "square": 1000, "noise": 1,
    **{f"sea-{loss}": 50 for loss in SEA_LOSSES},
}  # fmt: skip
LOSS = {"pgd": "ce", "segpgd": "segpgd", "cospgd": "cospgd", "apgd": "ce"}
WHITE_BOX = ("fgsm", "pgd", "segpgd", "cospgd", "apgd", "sea", *(f"sea-{loss}" for loss in SEA_LOSSES))
Generate = Callable[[Tensor, Threat], Tensor]  # a trained adversary: images to adversarial images


@dataclass(frozen=True)
class AttackSpec:
    name: str  # as it was written
    kind: str  # a key of DEFAULT_STEPS, or adv
    steps: int  # or queries
    restarts: int = 1
    run: str = ""  # of adv

    @property
    def members(self) -> tuple["AttackSpec", ...]:
        """What is run: the attack itself, or those whose worst it is."""
        if self.kind != "sea":
            return (self,)
        return tuple(replace(self, name=f"sea-{loss}-{self.steps}", kind=f"sea-{loss}") for loss in SEA_LOSSES)


def parse_attack(text: str) -> AttackSpec:
    """Raises ConfigError with the closest name."""
    if text.startswith("adv:"):
        if not (run := text.removeprefix("adv:")):
            raise ConfigError("adv: takes the name or the folder of a run of train-adv, as in adv:first")
        return AttackSpec(text, "adv", 1, run=run)
    found = re.fullmatch(r"([a-z-]*[a-z])(?:-(\d+)(?:x(\d+))?)?", text)
    kind = found.group(1) if found else text
    if found is None or kind not in DEFAULT_STEPS:
        known = ", ".join(name for name in DEFAULT_STEPS if not name.startswith("sea-"))
        raise ConfigError(f"no attack {text!r}{closest(kind, DEFAULT_STEPS)} There are {known} and adv:RUN, as pgd-20")
    steps, restarts = int(found.group(2) or DEFAULT_STEPS[kind]), int(found.group(3) or 1)
    if steps < 1 or restarts < 1 or (kind in ("fgsm", "noise") and (steps, restarts) != (1, 1)):
        due = "no number" if kind in ("fgsm", "noise") else "1 step or more"
        raise ConfigError(f"attack {text!r}: {kind} takes {due}")
    if restarts > 1 and kind not in ("pgd", "segpgd", "cospgd", "apgd"):
        raise ConfigError(f"attack {text!r}: restarts are for pgd, segpgd, cospgd and apgd")
    return AttackSpec(text, kind, steps, restarts)


def check_attack_fits(spec: AttackSpec, task: str, goal: str) -> None:
    """Raises ConfigError where the attack is not made for the task or the goal."""
    if spec.kind.startswith("sea") and task != "train-seg":
        raise ConfigError(f"{spec.name} counts pixels: it is for segmenters, attack a classifier with apgd or pgd")
    if spec.kind.startswith("sea") and goal != "untargeted":
        raise ConfigError(f"{spec.name} has no goal but to leave no pixel right: take cospgd or pgd for {goal}")


def run_attack(
    spec: AttackSpec,
    forward: Forward,
    images: Tensor,
    aimed: AttackGoal,
    threat: Threat,
    *,
    generator: torch.Generator,
    generate: Generate | None = None,
) -> Tensor:
    """Adversarial images (B, 3, H, W), inside the threat, rounded to 8 bits and checked. generate: of adv."""
    if spec.kind == "adv":
        assert generate is not None
        adv = generate(images, threat)
    elif spec.kind == "noise":
        adv = noise(images, threat, generator)
    elif spec.kind == "fgsm":
        adv = fgsm(forward, images, objective("ce", aimed), threat)
    elif spec.kind == "square":
        goal = objective("ce", aimed)
        adv = square(forward, images, goal, threat, queries=spec.steps, generator=generator)
    elif spec.kind.startswith("sea-"):
        assert aimed.away is not None
        goal = objective(spec.kind.removeprefix("sea-"), aimed)
        adv = sea_member(forward, images, aimed.away, goal, threat, steps=spec.steps, generator=generator)
    else:
        goal = objective(LOSS[spec.kind], aimed)
        attack = apgd if spec.kind == "apgd" else pgd

        def run(start: Tensor) -> Tensor:
            return attack(forward, images, goal, threat, steps=spec.steps, start=start)

        adv = with_restarts(
            run, forward, images, _best_restart(aimed), threat, restarts=spec.restarts, generator=generator
        )
    adv = threat.quantized(adv, images)
    threat.check(adv, images)
    return adv


def _best_restart(aimed: AttackGoal) -> Objective:
    """How far an image got, whatever loss led there: the share of pixels that turned, else the cross-entropy."""
    away = aimed.away
    if away is None or away.ndim == 2 or aimed.toward is not None:
        return objective("ce", aimed)
    return lambda logits, done: pixel_error_rate(logits, away)
