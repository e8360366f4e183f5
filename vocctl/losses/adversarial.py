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
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from vocctl.labels import IGNORE

LOG_2 = math.log(2)
MARGIN_CLIP = 10.0  # logits


class LossElements:
    """An image's elements, (B, N) each. Computed when asked for: a pass over the logits of all classes takes its time.

    Pixels of a segmenter where logits has four dimensions, labels of a classifier where it has two. nll alone carries
    a gradient.
    """

    def __init__(self, logits: Tensor, labels: Tensor) -> None:
        keep = labels != IGNORE
        self._logits, self._held = logits.float(), labels.where(keep, 0).long()
        self.keep, self.labels = keep.flatten(1), self._held.flatten(1)

    @property
    def _pixels(self) -> bool:
        return self._logits.ndim == 4

    @cached_property
    def _signed(self) -> Tensor:
        """A classifier's logits, turned so that more is more of the label."""
        return torch.where(self._held == 1, self._logits, -self._logits)

    @cached_property
    def _log_probs(self) -> Tensor:
        return self._logits.log_softmax(dim=1)

    def _of_label(self, values: Tensor) -> Tensor:
        return values.gather(1, self._held[:, None])[:, 0]

    @cached_property
    def nll(self) -> Tensor:
        return -self._of_label(self._log_probs).flatten(1) if self._pixels else -F.logsigmoid(self._signed)

    @cached_property
    def cosine(self) -> Tensor:
        """Of the probabilities and the one-hot label, in [0, 1]."""
        prob = (-self.nll.detach()).exp()
        if not self._pixels:
            return prob / (prob**2 + (1 - prob) ** 2).sqrt()
        return prob / torch.linalg.vector_norm(self._log_probs.detach().exp(), dim=1).flatten(1)

    @cached_property
    def reached(self) -> Tensor:
        """Whether the label is what the model predicts."""
        if not self._pixels:
            return self._signed.detach() > 0
        logits = self._logits.detach()
        return (self._of_label(logits) >= logits.amax(dim=1)).flatten(1)


Weights = Callable[[LossElements, float], Tensor]  # elements, share of the steps done


def _segpgd_weights(seen: LossElements, done: float) -> Tensor:
    return torch.where(seen.reached, 1 - done / 2, done / 2)


UNTARGETED: dict[str, Weights] = {
    "ce": lambda seen, done: torch.ones_like(seen.nll),
    "segpgd": _segpgd_weights,
    "cospgd": lambda seen, done: seen.cosine,
    "masked": lambda seen, done: seen.reached.float(),
}
TARGETED: dict[str, Weights] = {
    "ce": UNTARGETED["ce"],
    "segpgd": lambda seen, done: 1 - _segpgd_weights(seen, done),
    "cospgd": lambda seen, done: 1 - seen.cosine,
    "masked": lambda seen, done: (~seen.reached).float(),
}
KINDS = (*UNTARGETED, "js", "balanced")


def attack_values(logits: Tensor, labels: Tensor, kind: str, *, done: float, toward: bool = False) -> Tensor:
    """(B,) the value of that kind for each image. done: share of the attack's steps that lie behind, in [0, 1)."""
    seen = LossElements(logits, labels)
    count = seen.keep.sum(1).clamp(min=1)
    if kind == "js":
        return _jensen_shannon(seen.nll).where(seen.keep, 0).sum(1) / count
    if kind == "balanced":
        share = _class_shares(seen) * (TARGETED if toward else UNTARGETED)["masked"](seen, done)
        return (seen.nll * share).where(seen.keep, 0).sum(1)
    weights = (TARGETED if toward else UNTARGETED)[kind](seen, done)
    return (seen.nll * weights).where(seen.keep, 0).sum(1) / count


def logit_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """(B,) mean logit of the absent labels less that of the present ones, each cut where it is FAR on its way.

    logits: (B, K) of a classifier; labels: (B, K) of 1 and 0, those with IGNORE are neither. A difference of logits, as of
    Carlini and Wagner, arXiv 1608.04644: it does not flatten where the model is sure. Not of the strongest absent label
    alone: an average precision falls where the present labels sink below other images' absent ones.
    """
    absent, present = (labels == one for one in (0, 1))
    raised = logits.float().clamp(max=MARGIN_CLIP).where(absent, 0).sum(1) / absent.sum(1).clamp(min=1)
    return raised - logits.float().clamp(min=-MARGIN_CLIP).where(present, 0).sum(1) / present.sum(1).clamp(min=1)


def _jensen_shannon(nll: Tensor) -> Tensor:
    """JS(p, one-hot) in nats, which depends on the label's probability alone: in [0, log 2]."""
    prob = (-nll).exp()
    middle = torch.log1p(prob) - LOG_2  # log of the mixture at the label
    return 0.5 * (-middle + (1 - prob) * LOG_2 + prob * (-nll - middle))


def _class_shares(seen: LossElements) -> Tensor:
    """(B, N) 1 / (size of the element's class in its image * number of classes in the image)."""
    sizes = torch.zeros(len(seen.labels), int(seen.labels.max()) + 1, device=seen.labels.device)
    sizes.scatter_add_(1, seen.labels, seen.keep.float())
    classes = (sizes > 0).sum(1, keepdim=True).clamp(min=1)
    return 1 / (sizes.gather(1, seen.labels).clamp(min=1) * classes)
