"""Adversarial training: replace a fraction of each training batch by adversarial images of the current weights.

Sources: Madry et al., arXiv 1706.06083; Kurakin et al., arXiv 1611.01236 mix clean and adversarial images in a batch.
The attack runs the model in evaluation mode. Its random starts derive from torch's global generator, whose state is part of
the checkpoint, so that a resumed run continues with the same starts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from vocctl.attacks.objectives import Forward, attack_goal
from vocctl.attacks.run import run_attack
from vocctl.attacks.table import AttackSpec, parse_attack, training_attacks
from vocctl.attacks.threat import MAX_PIXEL, Threat
from vocctl.config import AdversarialTrainingConfig, parse_epsilon
from vocctl.distributed import rank, world_size
from vocctl.errors import ConfigError
from vocctl.seeding import derived_generator

AttackBatch = Callable[[Tensor, Tensor], Tensor]  # images (B, 3, H, W) and labels to images, some of them adversarial


def training_attack(config: AdversarialTrainingConfig) -> AttackSpec | None:
    """The attack of --adv-train with its function for training, None for plain training.

    Raises ConfigError for an attack that is not for training.
    """
    if config.adv_train == "none":
        return None
    spec = parse_attack(config.adv_train)
    if not spec.attack.for_training:
        raise ConfigError(
            f"--adv-train {config.adv_train}: adversarial training supports {', '.join(training_attacks())}, as in pgd-3"
        )
    return replace(spec, attack=replace(spec.attack, function=spec.attack.training_function))


def adversarial_examples(config: AdversarialTrainingConfig, model: nn.Module, forward: Forward) -> AttackBatch:
    """The function that attacks each batch before the training step; it returns the batch unchanged in plain training.

    model: what is trained. forward: images in [0, 1] to logits of the shape that fits the labels. Raises ConfigError as
    training_attack does.
    """
    spec = training_attack(config)
    if spec is None:
        return lambda images, labels: images
    threat = Threat(config.adv_norm, parse_epsilon(config.adv_eps))

    def attack_batch(images: Tensor, labels: Tensor) -> Tensor:
        count = num_attacked(config.adv_fraction, len(images))
        # every process draws a seed, even if it attacks no image, so that all global generators stay in the same state
        seed = int(torch.randint(2**62, ()).item())
        if count == 0:
            return images
        clean = (images[:count] * MAX_PIXEL).round() / MAX_PIXEL
        goal = attack_goal("untargeted", labels[:count])
        generators = [derived_generator("adversarial training", seed, rank(), index) for index in range(count)]
        with evaluation_mode(model):
            adv = run_attack(spec, forward, clean, goal, threat, generators=generators)
        return torch.cat([adv, images[count:]]).contiguous(memory_format=torch.channels_last)

    return attack_batch


def num_attacked(fraction: float, local_batch: int) -> int:
    """How many images of this process's batch are attacked.

    fraction of the batch of all processes is attacked, at least one image; the first processes attack one image more where
    the number cannot be divided evenly.
    """
    total = max(round(fraction * local_batch * world_size()), 1)
    return (total + world_size() - 1 - rank()) // world_size()


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode, then restore the mode of each of its modules."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
