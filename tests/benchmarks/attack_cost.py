"""The time of attacks relative to the network passes that they need, on one batch of random images, fp32.

    python tests/benchmarks/attack_cost.py [SIZE] [BATCH]

PGD: the time of a step, relative to one forward and backward pass of the same model, as far as the gradient of the image.
Generator: the time of the whole attack (perturbation, sum, rounding to 8 bits, check), relative to the forward pass of its
network. The attack and its baseline are timed alternately; the median ratio is printed, because the machine's speed drifts.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import get_args

import torch

from vocctl.attacks.gradient import pgd_from
from vocctl.attacks.objectives import AttackObjective, attack_goal, progress_objective
from vocctl.attacks.steps import random_start
from vocctl.attacks.table import STEP_RATIO
from vocctl.attacks.threat import Threat
from vocctl.config import GeneratorConfig, TrainClsConfig, TrainSegConfig
from vocctl.config.attacks import Generator
from vocctl.models.adversary import Adversary
from vocctl.models.classifier import Classifier
from vocctl.models.input_resize import LogitEnsemble, ResizeWrapper
from vocctl.models.segmenter import Segmenter

STEPS, ROUNDS, LINF = 5, 9, Threat("linf", 8 / 255)


def time_call(function: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def relative_time(attack: Callable[[], object], baseline: Callable[[], object], calls: int) -> tuple[float, float]:
    """Return the median of attack time / (calls * baseline time), and the median time of the attack in seconds.

    calls: how many baseline calls the attack contains.
    """
    attack(), baseline()  # warm up
    times = [(time_call(attack), time_call(baseline)) for _ in range(ROUNDS)]
    ratios = [attack_time / (calls * baseline_time) for attack_time, baseline_time in times]
    return median(ratios), median(attack_time for attack_time, _ in times)


def pgd_cost(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, size: int) -> tuple[float, float]:
    """Return the time of a PGD step relative to its forward and backward pass, and the time of the attack in seconds."""
    forward = LogitEnsemble([ResizeWrapper(model, size, "fp32")])
    objective = AttackObjective("ce", attack_goal("untargeted", labels))
    start = random_start(images, LINF, [torch.Generator().manual_seed(index) for index in range(len(images))])

    def forward_and_backward() -> None:
        leaf = images.clone().requires_grad_()
        torch.autograd.grad(objective(forward(leaf), 0.0).sum(), leaf)

    def attack() -> None:
        pgd_from(
            forward, images, objective, LINF, steps=STEPS, start=start,
            step_length=STEP_RATIO["linf"] * LINF.epsilon, progress=progress_objective(objective),
        )  # fmt: skip

    return relative_time(attack, forward_and_backward, STEPS)


def generator_cost(config: GeneratorConfig, images: torch.Tensor) -> tuple[float, float]:
    """Return the time of the attack relative to the network's forward pass, and in seconds."""
    adversary = Adversary(config, "linf", 8 / 255, 160).eval().to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def attack() -> None:
        adv = LINF.quantized(adversary(images), images)
        LINF.check(adv, images)

    @torch.inference_mode()
    def forward() -> None:
        adversary.generator(images)

    return relative_time(attack, forward, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", nargs="?", type=int, default=160, help="side of the images in pixels")
    parser.add_argument("batch", nargs="?", type=int, default=8, help="images in the batch")
    arguments = parser.parse_args()
    size, batch = arguments.size, arguments.batch
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (batch, 3, size, size)).float() / 255
    images = pixels.to(memory_format=torch.channels_last)
    for name, network, labels in (
        ("segmenter", Segmenter(TrainSegConfig().model), torch.randint(0, 21, (batch, size, size))),
        ("classifier", Classifier(TrainClsConfig().model, size), torch.randint(0, 2, (batch, 20))),
    ):
        model = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        ratio, seconds = pgd_cost(model, images, labels, size)
        print(
            f"{name}: one PGD step takes {ratio:.3f}x the time of one forward and backward pass, "
            f"{1e3 * seconds / STEPS / batch:.1f} ms per image and step"
        )
    for kind in get_args(Generator):
        ratio, seconds = generator_cost(GeneratorConfig(generator=kind), images)
        print(
            f"generator {kind}: the attack takes {ratio:.3f}x the time of the network's forward pass, "
            f"{1e3 * seconds / batch:.1f} ms per image"
        )


if __name__ == "__main__":
    main()
