"""The sanity checks of one table of attacks, on its first images.

Whatever the table's goal, they are of untargeted attacks: they ask whether the gradients lead anywhere.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vocctl.attacks.gradient import input_gradient
from vocctl.attacks.objectives import AttackObjective
from vocctl.attacks.table import AttackSpec, parse_attack
from vocctl.attacks.threat import Threat
from vocctl.config import parse_epsilon
from vocctl.data.loaders import same_shape_batches
from vocctl.robustness.benchmark import AttackBenchmark
from vocctl.robustness.outcomes import AttackedPredictions, GroundTruth, attacked_predictions, distortion_stats, scores
from vocctl.robustness.sanity_checks import (
    LARGE_EPS,
    Check,
    black_box_is_weaker,
    budget_is_left,
    large_budget,
    more_steps,
    noise_is_weaker,
    zero_gradients,
)

SANITY_IMAGES = 16


def sanity_checks(
    bench: AttackBenchmark, kept: dict[tuple[str, str], AttackedPredictions], specs: Sequence[AttackSpec]
) -> list[Check]:
    """On the first images, with PGD at the largest budget, and of the table's own attacks those of specs beside it.

    kept: by attack and budget, what the table's attacks did.
    """
    untargeted = replace(bench.config, goal="untargeted")
    own = specs if bench.config.goal == "untargeted" else []  # what they did with a goal is another kind of damage
    quiet = replace(bench, config=untargeted, count=lambda more: None)
    eps = bench.config.eps[-1]
    few = min(SANITY_IMAGES, len(bench.truth.ids))
    part = GroundTruth(
        bench.truth.ids[:few], bench.truth.images[:few], bench.truth.masks[:few], bench.truth.targets[:few]
    )
    batches = same_shape_batches([image.shape[:2] for image in part.images], bench.target.config.train.batch)
    gradients = [
        input_gradient(bench.target.forward, bench.pixels(batch), AttackObjective("ce", quiet.attack_goal(batch)), 0.0)[
            0
        ]
        for batch in batches
    ]
    threat = Threat(bench.config.norm, parse_epsilon(eps))

    def seen(name: str, held: Threat) -> AttackedPredictions:
        return attacked_predictions(bench.target, quiet.crafted(parse_attack(name), held, few), part)

    long = quiet.crafted(parse_attack("pgd-20"), threat, few)
    five, twenty = seen("pgd-5", threat), attacked_predictions(bench.target, long, part)
    channels = max(image.size for image in part.images)
    levels_a_channel = 255 * threat.epsilon / channels**0.5  # of an l2 change that is spread out
    checks = [zero_gradients(gradients), more_steps(five.damage.mean().item(), twenty.damage.mean().item(), (5, 20))]
    if bench.config.norm == "linf":
        main = "mean_iou" if bench.target.segments else "sample_f1"
        limits = None if bench.target.segments else np.full(20, 0.5)
        broken = seen("pgd-20", replace(threat, epsilon=LARGE_EPS))
        before = attacked_predictions(bench.target, part.images, part)
        checks.append(large_budget(scores(broken, part, limits)[main], scores(before, part, limits)[main]))
    elif levels_a_channel < 1:
        checks.append(budget_is_left(distortion_stats(part.images, long)["l2_mean"], threat.epsilon))
    damage = {spec.name: kept[spec.name, eps].damage[:few].mean().item() for spec in own if (spec.name, eps) in kept}
    attacks = {spec.name: spec.attack for spec in own}
    looking = {"pgd-20": twenty.damage.mean().item()}
    looking |= {
        name: value for name, value in damage.items() if attacks[name].access == "white-box" or attacks[name].trained
    }
    checks.append(noise_is_weaker(seen("noise", threat).damage.mean().item(), looking))
    if black := [value for name, value in damage.items() if attacks[name].access == "black-box"]:
        white = [value for name, value in damage.items() if attacks[name].access == "white-box"]
        checks.append(black_box_is_weaker(max(black), max([five.damage.mean().item(), looking["pgd-20"], *white])))
    return checks
