"""What an attack costs beside the passes that it can't do without, on one batch of random images, fp32.

    python tests/benchmarks/attack_cost.py [SIZE] [BATCH]

PGD: its time a step against a bare forward and backward pass of the same model to the image. Generator: all of the attack
(perturbation, sum, rounding to 8 bits, the check) against the bare forward pass of its network alone. The two of a pair take
turns, and the median of their ratios is printed: a machine that slows down slows both.
"""

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import get_args

import torch

from vocctl.attacks.gradient import pgd_from
from vocctl.attacks.objectives import AttackObjective, attack_goal
from vocctl.attacks.steps import random_start
from vocctl.attacks.threat import Threat
from vocctl.config import GeneratorConfig, TrainClsConfig, TrainSegConfig
from vocctl.config.attacks import Generator
from vocctl.models.adversary import Adversary
from vocctl.models.classifier import Classifier
from vocctl.models.input_resize import LogitEnsemble, ResizeWrapper
from vocctl.models.segmenter import Segmenter

STEPS, ROUNDS, LINF = 5, 9, Threat("linf", 8 / 255)


def seconds(work: Callable[[], object]) -> float:
    resumed = time.perf_counter()
    work()
    return time.perf_counter() - resumed


def ratio(ours: Callable[[], object], bare: Callable[[], object], parts: int) -> tuple[float, float]:
    """Median of ours / (parts * bare), and the median of ours in seconds."""
    ours(), bare()
    pairs = [(seconds(ours), seconds(bare)) for _ in range(ROUNDS)]
    return median(one / (parts * other) for one, other in pairs), median(one for one, _ in pairs)


def pgd_cost(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, size: int) -> tuple[float, float]:
    forward = LogitEnsemble([ResizeWrapper(model, size, "fp32")])
    objective = AttackObjective("ce", attack_goal("untargeted", labels))
    start = random_start(images, LINF, torch.Generator().manual_seed(0))

    def bare() -> None:
        leaf = images.clone().requires_grad_()
        torch.autograd.grad(objective(forward(leaf), 0.0).sum(), leaf)

    return ratio(lambda: pgd_from(forward, images, objective, LINF, steps=STEPS, start=start), bare, STEPS)


def generator_cost(config: GeneratorConfig, images: torch.Tensor) -> tuple[float, float]:
    adversary = Adversary(config, "linf", 8 / 255, 160).eval().to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def attack() -> None:
        adv = LINF.quantized(adversary(images), images)
        LINF.check(adv, images)

    @torch.inference_mode()
    def bare() -> None:
        adversary.backbone(images)

    return ratio(attack, bare, 1)


def main() -> None:
    size, batch = (int(word) for word in (*sys.argv[1:], *("160", "8")[len(sys.argv) - 1 :]))
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (batch, 3, size, size)).float() / 255
    images = pixels.to(memory_format=torch.channels_last)
    for name, made, labels in (
        ("segmenter", Segmenter(TrainSegConfig().model), torch.randint(0, 21, (batch, size, size))),
        ("classifier", Classifier(TrainClsConfig().model, size), torch.randint(0, 2, (batch, 20))),
    ):
        model = made.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        share, took = pgd_cost(model, images, labels, size)
        print(
            f"PGD on the {name}: {share:.3f} of a forward and backward pass a step, {took / STEPS * 1e3 / batch:.1f} ms"
        )
    for kind in get_args(Generator):
        share, took = generator_cost(GeneratorConfig(generator=kind), images)
        print(f"generator {kind}: {share:.3f} of its bare forward pass, {took * 1e3 / batch:.1f} ms a image")


if __name__ == "__main__":
    main()
