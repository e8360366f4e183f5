"""A trained generator as an attack: what `adv:RUN` runs. `vocctl train-adv` trains it."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from vocctl.attacks.draws import Generators
from vocctl.attacks.objectives import Forward, Objective
from vocctl.attacks.threat import Threat

UNBOUNDED_EPSILON = 1e4  # as a Threat's epsilon: no change of pixels in [0, 1] is as large, in either norm


@dataclass(frozen=True)
class TrainedGenerator:
    """generate: images (B, 3, H, W) in [0, 1] and a threat model to adversarial images.

    bounded: False for a generator that was trained with a penalty on its perturbation instead of a bound. Its perturbation
    has one strength, whatever the epsilon of the threat model.
    """

    generate: Callable[[Tensor, Threat], Tensor]
    bounded: bool

    def __call__(
        self, forward: Forward, images: Tensor, objective: Objective, threat: Threat, *,
        steps: int, step_length: float | None, generators: Generators,
    ) -> Tensor:  # fmt: skip
        """Run as an attack function of attacks/run.py. Only images and threat are used."""
        return self.generate(images, threat)
