"""The threat model: how far an adversarial image may be from its clean image, and the check that it is not further.

Pixels are in [0, 1] and epsilon has the same unit. linf: the largest change of any channel of any pixel. l2: the L2 norm of
the change of the whole image. Adversarial images are evaluated as an 8-bit file stores them, in steps of 1 / 255.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from vocctl.errors import RunError

MAX_PIXEL = 255
TOLERANCE = {"linf": 1e-6, "l2": 1e-4}  # rounding errors of float32 norms; both are far below one step of 1 / 255


class AttackError(RunError):
    """An attack returned an image that its threat model does not allow, which is a bug in the attack."""


def norms(delta: Tensor, norm: str) -> Tensor:
    """The norm of each image's change. delta: (B, ...). Returns (B,) float32."""
    flat = delta.flatten(1).float()
    if norm == "linf":
        return flat.abs().amax(1)
    return to_float64(flat).square().sum(1).sqrt().float()


def to_float64(values: Tensor) -> Tensor:
    """Convert to float64, in which sums over all channels of an image are exact enough. Apple's GPUs have no float64."""
    return values if values.device.type == "mps" else values.double()


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """Reshape (B,) values so that they broadcast over a (B, ...) tensor."""
    return values.view(-1, *(1,) * (like.ndim - 1))


@dataclass(frozen=True)
class Threat:
    norm: str  # linf or l2
    epsilon: float  # radius of the ball around the clean image

    def project(self, adv: Tensor, images: Tensor) -> Tensor:
        """Project adv onto the ball around images, then clip to [0, 1]. Both are (B, 3, H, W).

        linf: clamp the change of each channel. l2: scale the change of each image by min(1, epsilon / its norm). The clip
        to [0, 1] only shortens the change, because images are in [0, 1].
        """
        delta = adv - images
        if self.norm == "linf":
            delta = delta.clamp(-self.epsilon, self.epsilon)
        else:
            scale = (self.epsilon / norms(delta, "l2").clamp(min=1e-12)).clamp(max=1)
            delta = delta * per_image(scale, delta)
        return (images + delta).clamp(0, 1)

    def quantized(self, adv: Tensor, images: Tensor) -> Tensor:
        """Round adv to steps of 1 / 255 without leaving the ball. images already are multiples of 1 / 255.

        linf: round to the nearest step, or toward the clean pixel where the nearest step is outside of the ball. l2: round
        to the nearest step; where that leaves the ball, move the channels that were rounded up most one step back.
        """
        clean, exact = (images * MAX_PIXEL).round(), adv * MAX_PIXEL
        delta = exact.round() - clean
        if self.norm == "linf":
            limit = int(self.epsilon * MAX_PIXEL + 1e-4)
            return ((clean + delta.clamp(-limit, limit)).clamp(0, MAX_PIXEL)) / MAX_PIXEL
        outside = norms(delta / MAX_PIXEL, "l2") > self.epsilon
        if outside.any():
            delta[outside] = self._shrink_to_ball(delta[outside], (exact - clean)[outside])
        return (clean + delta).clamp(0, MAX_PIXEL) / MAX_PIXEL

    def _shrink_to_ball(self, rounded: Tensor, exact: Tensor) -> Tensor:
        """Move channels one step toward 0 until each image's change is inside the l2 ball.

        rounded, exact: (B, 3, H, W) changes before and after rounding, in steps of 1 / 255. The channels whose size grew
        most by rounding are moved first.
        """
        budget = (self.epsilon * MAX_PIXEL) ** 2
        flat = rounded.flatten(1).clone()
        for row, exact_row in zip(flat, exact.flatten(1), strict=True):
            while (excess := to_float64(row).square().sum().item() - budget) > 0:
                growth = (row.abs() - exact_row.abs()).masked_fill(row == 0, -torch.inf)
                order = growth.argsort(descending=True)
                savings = to_float64((2 * row[order].abs() - 1).clamp(min=0)).cumsum(0)  # n^2 - (n - 1)^2 = 2 n - 1
                count = int((savings < excess).sum().item()) + 1
                chosen = order[:count]
                row[chosen] -= row[chosen].sign()
        return flat.view_as(rounded)

    def check(self, adv: Tensor, images: Tensor) -> None:
        """Raise AttackError if adv has a value that is not finite, leaves [0, 1] or leaves the ball around images."""
        if not adv.isfinite().all():
            raise AttackError("the attack returned an adversarial image with NaN or infinite pixels")
        if adv.min() < 0 or adv.max() > 1:
            raise AttackError(
                f"the attack returned pixels outside [0, 1]: from {adv.min().item():.4f} to {adv.max().item():.4f}"
            )
        distance = norms(adv - images, self.norm).max().item()
        if distance > self.epsilon + TOLERANCE[self.norm]:
            raise AttackError(
                f"the attack returned an image at {self.norm} distance {distance:.5f} from its clean image, "
                f"which is more than epsilon = {self.epsilon:.5f}"
            )
