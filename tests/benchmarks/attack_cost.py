"""The time of attacks relative to the network passes that they need, on one batch of random images, fp32.

    python tests/benchmarks/attack_cost.py [SIZE] [BATCH]

PGD: time per step, relative to one forward and backward pass of the same model to the image. Generator: time of the whole
attack (perturbation, sum, rounding to 8 bits, check), relative to the forward pass of its network. Both are measured
alternately, and the median of the ratios is printed, because the machine's speed drifts.
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
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def relative_time(attack: Callable[[], object], bare: Callable[[], object], passes: int) -> tuple[float, float]:
    """Median of attack / (passes * bare), and the median time of the attack in seconds."""
    attack(), bare()  # warm up
    pairs = [(seconds(attack), seconds(bare)) for _ in range(ROUNDS)]
    ratios = [attack_time / (passes * bare_time) for attack_time, bare_time in pairs]
    return median(ratios), median(attack_time for attack_time, _ in pairs)


def pgd_cost(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, size: int) -> tuple[float, float]:
    forward = LogitEnsemble([ResizeWrapper(model, size, "fp32")])
    objective = AttackObjective("ce", attack_goal("untargeted", labels))
    start = random_start(images, LINF, torch.Generator().manual_seed(0))

    def bare() -> None:
        leaf = images.clone().requires_grad_()
        torch.autograd.grad(objective(forward(leaf), 0.0).sum(), leaf)

    return relative_time(lambda: pgd_from(forward, images, objective, LINF, steps=STEPS, start=start), bare, STEPS)


def generator_cost(config: GeneratorConfig, images: torch.Tensor) -> tuple[float, float]:
    adversary = Adversary(config, "linf", 8 / 255, 160).eval().to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def attack() -> None:
        adv = LINF.quantized(adversary(images), images)
        LINF.check(adv, images)

    @torch.inference_mode()
    def bare() -> None:
        adversary.generator(images)

    return relative_time(attack, bare, 1)


def main() -> None:
    size, batch = (int(text) for text in (*sys.argv[1:], *("160", "8")[len(sys.argv) - 1 :]))
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (batch, 3, size, size)).float() / 255
    images = pixels.to(memory_format=torch.channels_last)
    for name, network, labels in (
        ("segmenter", Segmenter(TrainSegConfig().model), torch.randint(0, 21, (batch, size, size))),
        ("classifier", Classifier(TrainClsConfig().model, size), torch.randint(0, 2, (batch, 20))),
    ):
        model = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        ratio, time_taken = pgd_cost(model, images, labels, size)
        ms = time_taken / STEPS * 1e3 / batch
        print(f"PGD on the {name}: {ratio:.3f} of a forward and backward pass per step, {ms:.1f} ms per image")
    for kind in get_args(Generator):
        ratio, time_taken = generator_cost(GeneratorConfig(generator=kind), images)
        print(f"generator {kind}: {ratio:.3f} of its forward pass, {time_taken * 1e3 / batch:.1f} ms per image")


if __name__ == "__main__":
    main()
