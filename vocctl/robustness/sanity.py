"""Sanity checks of an attack evaluation: they fail where a weak attack may make a model look more robust than it is.

Source: Carlini et al., "On Evaluating Adversarial Robustness", arXiv 1902.06705, section 5, for more_steps, large_budget,
noise_is_weaker and black_box_is_weaker. Attack loss is 1 - pixel accuracy (segmenters) or binary cross-entropy
(classifiers): higher is worse for the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from vocctl.attacks.gradient import input_gradient
from vocctl.attacks.objectives import AttackObjective
from vocctl.attacks.table import AttackSpec, parse_attack
from vocctl.attacks.threat import Threat
from vocctl.config import parse_epsilon
from vocctl.data.loaders import same_shape_batches
from vocctl.robustness.benchmark import AttackBenchmark, ProgressCounter
from vocctl.robustness.outcomes import Predictions, distortion_stats

NUM_IMAGES = 16  # the checks attack the first NUM_IMAGES images
FEW_STEPS, MANY_STEPS = 5, 20
LARGE_EPS = 64 / 255
TOLERANCE = 0.005  # a difference in mean attack loss that a few images cause


@dataclass(frozen=True)
class SanityCheck:
    name: str
    passed: bool
    measured: str
    failure_meaning: str  # what it means if the check fails, and what to do


def run_sanity_checks(
    bench: AttackBenchmark, predictions: Mapping[tuple[str, str], Predictions], specs: Sequence[AttackSpec]
) -> list[SanityCheck]:
    """Run PGD, noise and a few gradients on the first images, at the largest budget; untargeted, whatever the goal.

    predictions: by attack and budget, the results of the evaluation. specs: its attacks to include in the comparisons.
    """
    sanity, long_pgd = _SanityRun(bench), f"pgd-{MANY_STEPS}"
    loss = {}
    if bench.config.goal == "untargeted":  # the attack loss of a targeted attack cannot be compared
        results = {spec.name: predictions.get((spec.name, bench.config.eps[-1])) for spec in specs}
        loss = {name: sanity.mean_loss(result) for name, result in results.items() if result is not None}
    few = sanity.mean_loss(sanity.attack(f"pgd-{FEW_STEPS}"))
    images = sanity.generate(long_pgd)
    many = sanity.mean_loss(bench.victim.predict(images, sanity.truth))
    checks = [zero_gradients(sanity.gradients()), more_steps(few, many)]
    if bench.config.norm == "linf":
        scores = [result.sanity_score(sanity.truth) for result in (sanity.attack_at_large_budget(), sanity.clean())]
        checks.append(large_budget(*scores))
    elif sanity.may_round_away():
        checks.append(rounding(distortion_stats(sanity.truth.images, images)["l2_mean"], sanity.threat.epsilon))
    attacks = {spec.name: spec.attack for spec in specs}
    white_box = [value for name, value in loss.items() if attacks[name].access == "white-box"]
    black_box = [value for name, value in loss.items() if attacks[name].access == "black-box"]
    compared = {long_pgd: many}
    compared |= {name: loss[name] for name in loss if attacks[name].access == "white-box" or attacks[name].trained}
    checks.append(noise_is_weaker(sanity.mean_loss(sanity.attack("noise")), compared))
    if black_box:
        checks.append(black_box_is_weaker(max(black_box), max(few, compared[long_pgd], *white_box)))
    return checks


class _SanityRun:
    """The first images of a benchmark, attacked without a goal."""

    def __init__(self, bench: AttackBenchmark) -> None:
        config = replace(bench.config, goal="untargeted", step=None)
        self.bench = replace(bench, config=config, progress=ProgressCounter())
        self.truth = bench.truth.first(NUM_IMAGES)
        self.threat = Threat(bench.config.norm, parse_epsilon(bench.config.eps[-1]))

    def mean_loss(self, predictions: Predictions) -> float:
        return float(predictions.attack_loss[: len(self.truth.ids)].mean().item())

    def generate(self, attack: str, threat: Threat | None = None) -> list[np.ndarray]:
        return self.bench.generate(parse_attack(attack), threat or self.threat, len(self.truth.ids))

    def attack(self, attack: str, threat: Threat | None = None) -> Predictions:
        return self.bench.victim.predict(self.generate(attack, threat), self.truth)

    def attack_at_large_budget(self) -> Predictions:
        return self.attack(f"pgd-{MANY_STEPS}", replace(self.threat, epsilon=LARGE_EPS))

    def clean(self) -> Predictions:
        return self.bench.victim.predict(self.truth.images, self.truth)

    def gradients(self) -> list[Tensor]:
        """Gradients (B, 3, H, W) of the cross-entropy with respect to the clean images."""
        shapes = [image.shape[:2] for image in self.truth.images]
        bench = self.bench
        return [
            input_gradient(bench.victim.forward, bench.pixels(batch), AttackObjective("ce", bench.goal(batch)), 0.0)[0]
            for batch in same_shape_batches(shapes, bench.victim.config.train.batch)
        ]

    def may_round_away(self) -> bool:
        """Whether an L2 perturbation of the full budget, spread evenly over all channels, is below one 8-bit level."""
        channels = max(image.size for image in self.truth.images)
        return 255 * self.threat.epsilon / channels**0.5 < 1


def zero_gradients(gradients: Sequence[Tensor]) -> SanityCheck:
    """Gradients exist. gradients: (B, 3, H, W) each, of the objective at the clean images."""
    zeros = sum(int((gradient == 0).sum()) for gradient in gradients)
    fraction = zeros / sum(gradient.numel() for gradient in gradients)
    return SanityCheck(
        "zero gradients", fraction < 0.5, f"{100 * fraction:.1f} % of the channels have a gradient of 0",
        "the loss is saturated or the model masks its gradients: gradient attacks cannot measure its robustness",
    )  # fmt: skip


def more_steps(few: float, many: float) -> SanityCheck:
    """More steps do not weaken an attack. few, many: mean attack loss after FEW_STEPS and MANY_STEPS."""
    return SanityCheck(
        "more steps", many >= few - TOLERANCE,
        f"attack loss {few:.3f} after {FEW_STEPS} steps, {many:.3f} after {MANY_STEPS}",
        "more steps weaken the attack: its step length or loss is unsuitable, use apgd or cospgd",
    )  # fmt: skip


def large_budget(score: float, clean: float) -> SanityCheck:
    """A budget at which a person cannot recognize the image either breaks the model. score, clean: sanity_score."""
    return SanityCheck(
        "large budget", score <= 0.15 * clean, f"score {100 * score:.1f} at 64/255, {100 * clean:.1f} clean",
        "the model withstands a budget that no model should: its gradients are masked, or the attack's loss is unsuitable",
    )  # fmt: skip


def rounding(l2: float, epsilon: float) -> SanityCheck:
    """Rounding to 8 bits keeps the perturbation. l2: mean norm after rounding; less than half a level rounds to 0."""
    return SanityCheck(
        "rounding", l2 >= 0.5 * epsilon, f"L2 norm {l2:.2f} after rounding to 8 bits, of a budget of {epsilon:.2f}",
        "rounding removes most of the perturbation, so that the model looks more robust than it is: use a larger --eps",
    )  # fmt: skip


def noise_is_weaker(noise: float, attacks: Mapping[str, float]) -> SanityCheck:
    """Every attack is stronger than random noise. attacks: mean attack loss by attack; the weakest is compared."""
    weakest = min(attacks, key=lambda name: attacks[name])
    return SanityCheck(
        "noise", noise <= attacks[weakest] + TOLERANCE,
        f"attack loss {noise:.3f} of noise, {attacks[weakest]:.3f} of {weakest}, the weakest attack",
        f"noise is as strong as {weakest}: that attack is not working",
    )  # fmt: skip


def black_box_is_weaker(black_box: float, white_box: float) -> SanityCheck:
    """Gradients make an attack stronger. Both: the highest mean attack loss of their kind."""
    return SanityCheck(
        "black box", black_box <= white_box + TOLERANCE,
        f"attack loss {black_box:.3f} without gradients, {white_box:.3f} with gradients",
        "an attack without gradients is stronger: the model masks its gradients, so trust the black-box score",
    )  # fmt: skip
