"""The generator as an attack: build it from its config, and load a trained one."""

from dataclasses import replace

import torch
from torch import Tensor

from vocctl.attacks.generator import TrainedGenerator
from vocctl.attacks.threat import Threat
from vocctl.config import TrainAdvConfig, parse_epsilon
from vocctl.devices import DeviceSetup
from vocctl.errors import ConfigError
from vocctl.models.adversary import Adversary
from vocctl.runs.find import find_run


def has_penalty(config: TrainAdvConfig) -> bool:
    """Whether a penalty term keeps the perturbation small, in place of a bound by construction."""
    return config.threat.penalty != "none"


def build_adversary(config: TrainAdvConfig, *, load_pretrained: bool = True) -> Adversary:
    """load_pretrained: whether its encoder starts from pretrained weights; False if a run's weights replace them."""
    generator = config.generator if load_pretrained else replace(config.generator, weights="none")
    bound = "unbounded" if has_penalty(config) else config.threat.norm
    return Adversary(generator, bound, parse_epsilon(config.threat.eps), config.data.size)


def open_generator(name: str, norm: str, setup: DeviceSetup) -> TrainedGenerator:
    """Load a trained generator. Raises DataError: no such run. ConfigError: it was trained for another norm."""
    run = find_run(name, "train-adv")
    config = run.config(TrainAdvConfig())
    bounded = not has_penalty(config)
    if bounded and config.threat.norm != norm:
        raise ConfigError(f"{run.path} was trained for {config.threat.norm}: attack with --norm {config.threat.norm}")
    model = build_adversary(config, load_pretrained=False)
    run.load_weights("final", model)
    model.to(device=setup.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    @torch.inference_mode()
    def generate(images: Tensor, threat: Threat) -> Tensor:
        if not bounded:
            return model(images)
        return threat.project(model(images, threat.epsilon), images)

    return TrainedGenerator(generate, bounded)
