"""What an attack raises: one value an image, from what a model says of each of its elements and what it should not say.

An element is a pixel of a segmenter (logits (B, K, H, W), labels (B, H, W)) or a label of a classifier (logits (B, K),
labels (B, K) of 1 and 0); those with IGNORE count in nothing. p is the probability of an element's label, nll = -log p.
An attack goes away from labels by raising a value, and toward labels by lowering it; the weights, which carry no gradient,
turn over: an element that is done with counts less.

ce        nll
segpgd    (1 - l) nll where the label is still predicted, l nll where not; l = step / (2 steps), step from 0.
          Source: Gu et al., arXiv 2207.12391, eq. 5
cospgd    cos(probabilities, one-hot label) nll. Source: Agnihotri et al., arXiv 2302.02213, eq. 7
js        Jensen-Shannon divergence of the probabilities and the one-hot label
masked    nll where the label is still predicted, 0 elsewhere
balanced  masked, each element divided by the size of its class in the image
          The last three: Croce et al., arXiv 2306.12941 (SEA); there JS is raised as it is.
Values are means over the image's elements (balanced: over its classes), 0 where it has none.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vocctl.labels import IGNORE

LOG_2 = math.log(2)


@dataclass(frozen=True)
class Elements:
    """(B, N) each; cosine, reached and keep carry no gradient."""

    nll: Tensor
    cosine: Tensor  # of the probabilities and the one-hot label, in [0, 1]
    reached: Tensor  # whether the label is what the model predicts
    keep: Tensor
    labels: Tensor  # 0 where keep is false


def elements(logits: Tensor, labels: Tensor) -> Elements:
    """Of a segmenter where logits has four dimensions, of a classifier where it has two."""
    keep = labels != IGNORE
    held = labels.where(keep, 0).long()
    if logits.ndim == 2:
        logits = logits.float()
        signed = torch.where(held == 1, logits, -logits)
        probs = signed.detach().sigmoid()
        length = (probs**2 + (1 - probs) ** 2).sqrt()
        return Elements(-F.logsigmoid(signed), probs / length, signed.detach() > 0, keep, held)
    log_probs = logits.float().log_softmax(dim=1)
    of_label = log_probs.gather(1, held[:, None])[:, 0]
    with torch.no_grad():
        probs = log_probs.exp()
        cosine = of_label.exp() / torch.linalg.vector_norm(probs, dim=1)
        reached = of_label >= log_probs.amax(dim=1)
    return Elements(
        nll=-of_label.flatten(1), cosine=cosine.flatten(1), reached=reached.flatten(1), keep=keep.flatten(1),
        labels=held.flatten(1),
    )  # fmt: skip


Weights = Callable[[Elements, float], Tensor]  # elements, share of the steps done


def _half_and_half(seen: Elements, done: float) -> Tensor:
    return torch.where(seen.reached, 1 - done / 2, done / 2)


AWAY: dict[str, Weights] = {
    "ce": lambda seen, done: torch.ones_like(seen.cosine),
    "segpgd": _half_and_half,
    "cospgd": lambda seen, done: seen.cosine,
    "masked": lambda seen, done: seen.reached.float(),
}
TOWARD: dict[str, Weights] = {
    "ce": AWAY["ce"],
    "segpgd": lambda seen, done: 1 - _half_and_half(seen, done),
    "cospgd": lambda seen, done: 1 - seen.cosine,
    "masked": lambda seen, done: (~seen.reached).float(),
}
KINDS = (*AWAY, "js", "balanced")


def attack_values(logits: Tensor, labels: Tensor, kind: str, *, done: float, toward: bool = False) -> Tensor:
    """(B,) the value of that kind for each image. done: share of the attack's steps that lie behind, in [0, 1)."""
    seen = elements(logits, labels)
    count = seen.keep.sum(1).clamp(min=1)
    if kind == "js":
        return _jensen_shannon(seen.nll).where(seen.keep, 0).sum(1) / count
    if kind == "balanced":
        share = _class_shares(seen) * (TOWARD if toward else AWAY)["masked"](seen, done)
        return (seen.nll * share).where(seen.keep, 0).sum(1)
    weights = (TOWARD if toward else AWAY)[kind](seen, done)
    return (seen.nll * weights).where(seen.keep, 0).sum(1) / count


def _jensen_shannon(nll: Tensor) -> Tensor:
    """JS(p, one-hot) in nats, which depends on the label's probability alone: in [0, log 2]."""
    prob = (-nll).exp()
    middle = torch.log1p(prob) - LOG_2  # log of the mixture at the label
    return 0.5 * (-middle + (1 - prob) * LOG_2 + prob * (-nll - middle))


def _class_shares(seen: Elements) -> Tensor:
    """(B, N) 1 / (size of the element's class in its image * number of classes in the image)."""
    sizes = torch.zeros(len(seen.labels), int(seen.labels.max()) + 1, device=seen.labels.device)
    sizes.scatter_add_(1, seen.labels, seen.keep.float())
    classes = (sizes > 0).sum(1, keepdim=True).clamp(min=1)
    return 1 / (sizes.gather(1, seen.labels).clamp(min=1) * classes)
