"""Adversarial training: a share of each batch is attacked, with the weights as they are, before the loss sees it.

Source: Madry et al., arXiv 1706.06083; a share of clean images beside attacked ones as in Kurakin et al., 1611.01236.
The attack sees the model in evaluation mode; its random starts are seeded by torch's own generator, whose state a run saves.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vocctl.attacks.objectives import Forward, attack_goal
from vocctl.attacks.table import AttackSpec, parse_attack, run_attack
from vocctl.attacks.threat import Threat
from vocctl.config import AdversarialTrainingConfig, parse_epsilon
from vocctl.distributed import rank, world_size
from vocctl.errors import ConfigError

ATTACKS = ("fgsm", "pgd", "segpgd", "cospgd")
AttackBatch = Callable[[Tensor, Tensor], Tensor]  # pixels (B, 3, H, W), labels, to pixels of which some are attacked


def training_attack(config: AdversarialTrainingConfig) -> AttackSpec | None:
    """None where training is plain. Raises ConfigError: an attack that is not for training."""
    if config.adv_train == "none":
        return None
    spec = parse_attack(config.adv_train)
    if spec.kind not in ATTACKS:
        raise ConfigError(f"--adv-train {config.adv_train}: a training attack is one of {', '.join(ATTACKS)}, as pgd-3")
    return spec


def adversarial_examples(config: AdversarialTrainingConfig, model: nn.Module, forward: Forward) -> AttackBatch:
    """forward: pixels to logits that fit the labels. Raises as training_attack does."""
    spec = training_attack(config)
    if spec is None:
        return lambda pixels, labels: pixels
    threat = Threat(config.adv_norm, parse_epsilon(config.adv_eps))

    def attack_batch(pixels: Tensor, labels: Tensor) -> Tensor:
        whole = max(round(config.adv_fraction * len(pixels) * world_size()), 1)  # of the batch that all ranks share
        count = (whole + world_size() - 1 - rank()) // world_size()
        seed = int(torch.randint(2**62, ()).item())  # on every rank, so that their generators stay alike
        if count == 0:
            return pixels
        modes = [(module, module.training) for module in model.modules()]
        model.eval()
        images = (pixels[:count] * 255).round() / 255
        generator = torch.Generator().manual_seed(seed + rank())
        attacked = run_attack(
            spec, forward, images, attack_goal("untargeted", labels[:count]), threat, generator=generator
        )
        for module, training in modes:
            module.training = training
        return torch.cat([attacked, pixels[count:]]).contiguous(memory_format=torch.channels_last)

    return attack_batch
