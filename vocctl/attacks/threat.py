"""What an attack may change, and the check of what it hands back.

Pixels are in [0, 1]; epsilon is in the same unit: the largest change of any channel of any pixel (linf), or the L2 norm of
the whole change of a image (l2). An image is handed over as a file would hold it: in steps of 1 / 255.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vocctl.errors import RunError

MAX_PIXEL = 255
TOLERANCE = {"linf": 1e-6, "l2": 1e-4}  # of float32 sums over a image's channels; far below one level


class AttackError(RunError):
    """An attack handed back an image that its threat does not allow, which is a bug in the attack."""


def norms(delta: Tensor, norm: str) -> Tensor:
    """(B,) the norm of each change. delta: (B, ...)."""
    flat = delta.flatten(1).float()
    if norm == "linf":
        return flat.abs().amax(1)
    return to_float64(flat).square().sum(1).sqrt().float()


def to_float64(values: Tensor) -> Tensor:
    """In float64, where sums over a image's channels lose nothing; Apple's GPUs have none."""
    return values if values.device.type == "mps" else values.double()


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """(B,) values, shaped to multiply (B, ...) tensors."""
    return values.view(-1, *(1,) * (like.ndim - 1))


@dataclass(frozen=True)
class Threat:
    norm: str  # linf or l2
    epsilon: float

    def project(self, adv: Tensor, images: Tensor) -> Tensor:
        """adv moved into the ball around images, then into [0, 1]. Both (B, 3, H, W).

        linf: each channel clamped. l2: the change scaled by min(1, epsilon / its norm), image by image; cutting to [0, 1]
        afterwards only brings it nearer.
        """
        delta = adv - images
        if self.norm == "linf":
            delta = delta.clamp(-self.epsilon, self.epsilon)
        else:
            scale = (self.epsilon / norms(delta, "l2").clamp(min=1e-12)).clamp(max=1)
            delta = delta * per_image(scale, delta)
        return (images + delta).clamp(0, 1)

    def quantized(self, adv: Tensor, images: Tensor) -> Tensor:
        """adv in steps of 1 / 255, as a saved image holds it; images are in such steps already.

        linf: to the nearest step, toward the clean one where that would leave the ball. l2: the same, then the smallest
        changes of channels are rounded toward the clean one, as many as it takes to be inside.
        """
        clean, wanted = (images * MAX_PIXEL).round(), adv * MAX_PIXEL
        delta = wanted.round() - clean
        if self.norm == "linf":
            limit = int(self.epsilon * MAX_PIXEL + 1e-4)
            return ((clean + delta.clamp(-limit, limit)).clamp(0, MAX_PIXEL)) / MAX_PIXEL
        outside = norms(delta / MAX_PIXEL, "l2") > self.epsilon
        if outside.any():
            delta[outside] = self._shrunk((wanted - clean)[outside], delta[outside])
        return (clean + delta).clamp(0, MAX_PIXEL) / MAX_PIXEL

    def _shrunk(self, wanted: Tensor, delta: Tensor) -> Tensor:
        """Whole levels within the l2 ball: those channels go one level back first that were rounded up the furthest."""
        budget = (self.epsilon * MAX_PIXEL) ** 2
        flat, target = delta.flatten(1).clone(), wanted.flatten(1)
        for row, exact in zip(flat, target, strict=True):
            while (excess := to_float64(row).square().sum().item() - budget) > 0:
                order = (row.abs() - exact.abs()).masked_fill(row == 0, -torch.inf).argsort(descending=True)
                gains = to_float64((2 * row[order].abs() - 1).clamp(min=0)).cumsum(0)
                enough = int((gains < excess).sum().item()) + 1
                chosen = order[:enough]
                row[chosen] -= row[chosen].sign()
        return flat.view_as(delta)

    def check(self, adv: Tensor, images: Tensor) -> None:
        """Raises AttackError: not finite, outside [0, 1], outside the ball."""
        if not adv.isfinite().all():
            raise AttackError("an adversarial image is not finite")
        if adv.min() < 0 or adv.max() > 1:
            raise AttackError(f"an adversarial image leaves [0, 1]: {adv.min().item():.4f} to {adv.max().item():.4f}")
        reached = norms(adv - images, self.norm).max().item()
        if reached > self.epsilon + TOLERANCE[self.norm]:
            raise AttackError(
                f"an adversarial image is {reached:.5f} from its image in {self.norm}, over {self.epsilon:.5f}"
            )
