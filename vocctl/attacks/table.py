"""The table of attacks. `vocctl eval --attack`, adversarial training, help texts and sanity checks all read it.

To add an attack, write its function in this folder (signature: AttackFunction in attacks/run.py) and add its row here.
This module does not import torch, because `vocctl eval --help` lists the attacks and has to start fast: a row names its
function, and attacks/run.py imports it.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

from vocctl.config import did_you_mean
from vocctl.errors import ConfigError

Access = Literal["white-box", "black-box", "model-free"]
# Step length / epsilon of attacks with steps of a fixed length, as the authors of CosPGD use it for PGD, SegPGD and CosPGD
# (arXiv 2302.02213 and its published code): .01 at 8 / 255 for linf, .1 at 64 / 255 for l2.
STEP_RATIO = {"linf": 0.01 * 255 / 8, "l2": 0.1 * 255 / 64}
VICTIMS = {"train-cls": "classifiers", "train-seg": "segmenters"}  # task of a run -> what it trains


@dataclass(frozen=True, kw_only=True)
class Attack:
    name: str  # as --attack takes it
    description: str  # one line, with the source
    access: Access  # white-box: uses gradients; black-box: uses outputs alone; model-free: never runs the victim model
    function: str = ""  # module:function; empty for an ensemble and for a trained generator
    loss: str = "ce"  # a key of ATTACK_LOSSES in losses/adversarial.py
    default_steps: int = 1  # queries of a black-box attack
    iterative: bool = True  # the user may choose the number of steps, as in pgd-20
    restarts: bool = False  # the user may choose a number of restarts, as in pgd-20x5
    fixed_step: bool = False  # its steps have a fixed length, which --step sets
    training_function: str = ""  # module:function that --adv-train runs; empty: not for training
    tasks: tuple[str, ...] = tuple(VICTIMS)  # tasks whose runs it can attack
    targeted: bool = True  # it supports the goals target:CLASS and hide:CLASS
    members: tuple[str, ...] = ()  # of an ensemble: its attacks; the result is the worst case of them for each image
    trained: bool = False  # written name:RUN; the generator that RUN trained is its function

    @property
    def for_training(self) -> bool:
        """Whether --adv-train accepts it."""
        return bool(self.training_function)


_ROWS = (
    Attack(
        name="fgsm", function="vocctl.attacks.gradient:fgsm", access="white-box", iterative=False,
        training_function="vocctl.attacks.gradient:fgsm",
        description="one step along the sign of the gradient (Goodfellow et al., arXiv 1412.6572)",
    ),
    Attack(
        name="pgd", function="vocctl.attacks.gradient:pgd", access="white-box",
        default_steps=20, restarts=True, fixed_step=True, training_function="vocctl.attacks.gradient:training_pgd",
        description="projected gradient ascent on the cross-entropy (Madry et al., arXiv 1706.06083)",
    ),
    Attack(
        name="pgd-margin", function="vocctl.attacks.gradient:pgd", access="white-box", loss="margin",
        default_steps=20, restarts=True, fixed_step=True, tasks=("train-cls",), targeted=False,
        description="PGD on the logits of absent minus present labels, for mAP (Carlini and Wagner, arXiv 1608.04644)",
    ),
    Attack(
        name="segpgd", function="vocctl.attacks.gradient:pgd", access="white-box", loss="segpgd",
        default_steps=20, restarts=True, fixed_step=True, training_function="vocctl.attacks.gradient:training_pgd",
        description="PGD that weighs correct and wrong pixels by the step (Gu et al., arXiv 2207.12391)",
    ),
    Attack(
        name="cospgd", function="vocctl.attacks.gradient:pgd", access="white-box", loss="cospgd",
        default_steps=20, restarts=True, fixed_step=True, training_function="vocctl.attacks.gradient:training_pgd",
        description="PGD that weighs pixels by the cosine to their label, of a classifier labels: for wrong labels and F1 "
        "(Agnihotri et al., arXiv 2302.02213)",
    ),
    Attack(
        name="apgd", function="vocctl.attacks.gradient:apgd", access="white-box", default_steps=20, restarts=True,
        description="PGD with momentum and an adaptive step length (Croce and Hein, arXiv 2003.01690)",
    ),
    Attack(
        name="sea", access="white-box", default_steps=50, tasks=("train-seg",), targeted=False,
        members=("sea-js", "sea-masked", "sea-balanced"),
        description="worst case of three APGD runs with shrinking radii (Croce et al., arXiv 2306.12941)",
    ),
    Attack(
        name="sea-js", function="vocctl.attacks.sea:sea_member", access="white-box", loss="js",
        default_steps=50, tasks=("train-seg",), targeted=False,
        description="SEA's run with the Jensen-Shannon divergence (arXiv 2306.12941)",
    ),
    Attack(
        name="sea-masked", function="vocctl.attacks.sea:sea_member", access="white-box", loss="masked",
        default_steps=50, tasks=("train-seg",), targeted=False,
        description="SEA's run with the masked cross-entropy (arXiv 2306.12941)",
    ),
    Attack(
        name="sea-balanced", function="vocctl.attacks.sea:sea_member", access="white-box", loss="balanced",
        default_steps=50, tasks=("train-seg",), targeted=False,
        description="SEA's run with the class-balanced masked cross-entropy (arXiv 2306.12941)",
    ),
    Attack(
        name="square", function="vocctl.attacks.square:square", access="black-box", loss="smooth-errors", default_steps=1000,
        description="random search over squares, by queries alone (Andriushchenko et al., arXiv 1912.00049)",
    ),
    Attack(
        name="noise", function="vocctl.attacks.noise:noise", access="model-free", iterative=False,
        description="random noise of the same size, as a control",
    ),
    Attack(
        name="adv", access="model-free", iterative=False, trained=True,
        description="the generator that a run of vocctl train-adv trained",
    ),
)  # fmt: skip
ATTACKS: dict[str, Attack] = {row.name: row for row in _ROWS}


@dataclass(frozen=True)
class AttackSpec:
    """An attack as the user wrote it: a row of the table with its numbers."""

    name: str  # as written, for example pgd-20x5
    attack: Attack
    steps: int  # or queries
    restarts: int = 1
    run: str = ""  # the run of adv:RUN

    @property
    def members(self) -> tuple["AttackSpec", ...]:
        """The attacks to run: the members of an ensemble, else the attack itself."""
        if not self.attack.members:
            return (self,)
        return tuple(replace(self, name=f"{name}-{self.steps}", attack=ATTACKS[name]) for name in self.attack.members)


def parse_attack(text: str) -> AttackSpec:
    """Parse name, name-STEPS, name-STEPSxRESTARTS or adv:RUN. Raises ConfigError with the closest name."""
    written, colon, run = text.partition(":")
    match = re.fullmatch(r"(.*?)(?:-(\d{1,9})(?:x(\d{1,9}))?)?", written)
    name = match[1] if match else written
    attack = ATTACKS.get(name)
    if match is None or attack is None or (colon and not attack.trained):
        hint = did_you_mean(name, ATTACKS) or "."
        raise ConfigError(f"there is no attack {text!r}{hint} The attacks are {', '.join(attack_examples())}")
    steps, restarts = int(match[2] or attack.default_steps), int(match[3] or 1)
    if attack.trained and not (run and written == name):
        raise ConfigError(
            f"attack {text!r}: write {name}:RUN with the name or the folder of a run of train-adv, as in {name}:my-generator"
        )
    if not attack.iterative and (steps, restarts) != (1, 1):
        raise ConfigError(f"attack {text!r}: {name} has no number of steps, write {name}")
    if steps < 1 or restarts < 1:
        raise ConfigError(f"attack {text!r}: the number of steps and the number of restarts are 1 or more")
    if restarts > 1 and not attack.restarts:
        allowed = ", ".join(row.name for row in ATTACKS.values() if row.restarts)
        raise ConfigError(f"attack {text!r}: {name} has no restarts, only {allowed} have")
    return AttackSpec(text, attack, steps, restarts, run)


def check_attack_fits(spec: AttackSpec, task: str, goal: str) -> None:
    """Raise ConfigError if the attack does not support the victim's task (train-cls or train-seg) or the goal."""
    targeted = goal != "untargeted"
    if task in spec.attack.tasks and (spec.attack.targeted or not targeted):
        return
    alternatives = ", ".join(
        row.name
        for row in _listed()
        if row.access == "white-box" and task in row.tasks and (row.targeted or not targeted)
    )
    if task not in spec.attack.tasks:
        supported = " and ".join(VICTIMS[name] for name in spec.attack.tasks)
        raise ConfigError(f"{spec.name} is for {supported}. Attack {VICTIMS[task]} with one of {alternatives}")
    raise ConfigError(f"{spec.name} cannot be combined with --goal {goal}. Use one of {alternatives}")


def attack_examples() -> tuple[str, ...]:
    """Every attack as it may be written, with its default number of steps: fgsm, pgd-20, ..., adv:RUN."""
    return tuple(_example(row) for row in _listed())


def training_attacks() -> tuple[str, ...]:
    """The names that --adv-train accepts."""
    return tuple(row.name for row in ATTACKS.values() if row.for_training)


def fixed_step_attacks() -> tuple[str, ...]:
    """The names of the attacks whose steps --step sets."""
    return tuple(row.name for row in ATTACKS.values() if row.fixed_step)


def attack_help() -> str:
    """The help text of --attack."""
    return (
        f"Attacks, separated by commas: {', '.join(attack_examples())}. pgd-20x5: 20 steps, best of 5 random starts. "
        "Strongest on segmenters: sea, cospgd; on a classifier's mAP: pgd-margin, on its predicted labels and F1: cospgd."
    )


def adv_train_help() -> str:
    """The help text of --adv-train."""
    return f"Adversarial training with {', '.join(training_attacks())}, for example pgd-3; none: off."


def _listed() -> list[Attack]:
    """All attacks but the members of an ensemble, which are parts of an attack."""
    parts = {name for row in ATTACKS.values() for name in row.members}
    return [row for row in ATTACKS.values() if row.name not in parts]


def _example(row: Attack) -> str:
    if row.trained:
        return f"{row.name}:RUN"
    return f"{row.name}-{row.default_steps}" if row.iterative else row.name
