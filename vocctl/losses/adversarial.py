"""Losses that attacks maximize: one value per image, from the model's logits and the labels of the image's elements.

An element is a pixel of a segmenter (logits (B, K, H, W), labels (B, H, W)) or a class of a classifier (logits (B, K),
labels (B, K) of 1 and 0). Elements whose label is IGNORE are left out. p is the probability of an element's label,
nll = -log p.

An untargeted attack raises the loss, a targeted attack lowers it. Each loss is a sum of weighted terms, one per element.
The weights carry no gradient. They are small for the elements on which the attack has succeeded, so untargeted and targeted
attacks have different weights. ATTACK_LOSSES is the table: to add a loss, add its row. The term is nll unless stated.

    ce             weight 1
    segpgd         1 - l where the label is predicted, l where it is not; l = step / (2 steps), step = 0, 1, ...
                   Gu et al., arXiv 2207.12391, eq. 5
    cospgd         cosine of the probabilities and the one-hot label. Agnihotri et al., arXiv 2302.02213, eq. 7
    js             weight 1; the term is the Jensen-Shannon divergence of the probabilities and the one-hot label
    masked         1 where the label is predicted, 0 elsewhere
    balanced       as masked, times SEA_CLASS_WEIGHTS of the label; for pixels
    margin         1 / number of the image's elements with the same label; the term is the margin of logits, clipped. Untargeted
    smooth-errors  weight 1; the term is the sigmoid of the margin of logits. The loss of Square

js, masked and balanced are the losses of SEA (Croce et al., arXiv 2306.12941). A loss is the mean over the elements, margin
is their sum; it is 0 for an image without a labeled element. segpgd, cospgd, masked and balanced
fall where the attack succeeds, so they cannot tell which of two images is the better adversarial one: error_rate can.

The margin of logits (in the spirit of Carlini and Wagner, arXiv 1608.04644) is the highest other logit minus the label's; of
a class of a classifier, the logit if the class is absent and minus the logit if it is present. Its gradient is large even
where the model is confident. In the loss margin it is clipped at MARGIN_CLIP: beyond that the attack has succeeded. For a
classifier this loss is the mean logit of the absent classes minus that of the present ones: average precision falls where the
present classes of one image rank below the absent classes of another image, so all absent classes count, not only the highest.

Square's authors (Andriushchenko et al., arXiv 1912.00049) minimize the margin of the one decision that an image has, and stop
where it is wrong. smooth-errors is that for many decisions: near 0 or 1 where an element is far from its decision boundary, so
that a query is spent on the elements that are close to it. It is a smooth error rate.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from vocctl.labels import IGNORE

LOG_2 = math.log(2)
MARGIN_CLIP = 10.0  # logits
# of SEA's authors, one for each class of SEG_CLASSES: proportional to 1 / pixels of the class in VOC2012's val split, sum 1
SEA_CLASS_WEIGHTS = (
    .0007, .0531, .1394, .0500, .0814, .0575, .0256, .0312, .0198, .0626, .0382,
    .0457, .0212, .0404, .0421, .0089, .0915, .0585, .0366, .0279, .0677,
)  # fmt: skip


class LossElements:
    """What the losses need of the elements of each image, (B, N) each. Only nll and margin carry a gradient.

    Each property is computed on first use, because a pass over the logits of all classes takes long.
    """

    def __init__(self, logits: Tensor, labels: Tensor) -> None:
        keep = labels != IGNORE
        self._logits = logits.float()
        self._labels = labels.where(keep, 0).long()  # the shape of labels
        self.keep, self.labels = keep.flatten(1), self._labels.flatten(1)

    @property
    def _are_pixels(self) -> bool:
        return self._logits.ndim == 4

    @cached_property
    def _signed_logits(self) -> Tensor:
        """Logits of a classifier with the sign changed where the label is 0: the higher, the more probable the label."""
        return torch.where(self._labels == 1, self._logits, -self._logits)

    @cached_property
    def _log_probs(self) -> Tensor:
        return self._logits.log_softmax(dim=1)

    def _at_label(self, values: Tensor) -> Tensor:
        """(B, H, W) the values (B, K, H, W) of each pixel's label."""
        return values.gather(1, self._labels[:, None])[:, 0]

    @cached_property
    def nll(self) -> Tensor:
        """-log of the label's probability."""
        if self._are_pixels:
            return -self._at_label(self._log_probs).flatten(1)
        return -F.logsigmoid(self._signed_logits)

    @cached_property
    def margin(self) -> Tensor:
        """The highest other logit minus the label's logit; above 0 where the model does not predict the label."""
        if not self._are_pixels:
            return -self._signed_logits
        others = self._logits.scatter(1, self._labels[:, None], -torch.inf).amax(1)
        return (others - self._at_label(self._logits)).flatten(1)

    @cached_property
    def cosine(self) -> Tensor:
        """Cosine of the probabilities and the one-hot label, in [0, 1]. A class of a classifier has two probabilities."""
        prob = (-self.nll.detach()).exp()
        if self._are_pixels:
            return prob / torch.linalg.vector_norm(self._log_probs.detach().exp(), dim=1).flatten(1)
        return prob / (prob**2 + (1 - prob) ** 2).sqrt()

    @cached_property
    def is_correct(self) -> Tensor:
        """Whether the model predicts the label, bool. A classifier predicts a class whose logit is above 0."""
        if not self._are_pixels:
            return self._signed_logits.detach() > 0
        logits = self._logits.detach()
        return (self._at_label(logits) >= logits.amax(dim=1)).flatten(1)


ElementFunction = Callable[[LossElements, float], Tensor]  # elements and the fraction of the steps done, to (B, N)


def _uniform(elements: LossElements, step_fraction: float) -> Tensor:
    return torch.ones_like(elements.nll)


def segpgd_weights(elements: LossElements, step_fraction: float) -> Tensor:
    wrong_weight = step_fraction / 2  # lambda in eq. 5
    return torch.where(elements.is_correct, 1 - wrong_weight, wrong_weight)


def _balanced(weights: ElementFunction) -> ElementFunction:
    """Multiply the weights by SEA_CLASS_WEIGHTS."""

    def balanced_weights(elements: LossElements, step_fraction: float) -> Tensor:
        class_weights = torch.tensor(SEA_CLASS_WEIGHTS, device=elements.labels.device)
        return class_weights[elements.labels] * weights(elements, step_fraction)

    return balanced_weights


def _inverse_label_counts(elements: LossElements, step_fraction: float) -> Tensor:
    """1 / number of the image's elements that have the same label."""
    labels = elements.labels
    counts = torch.zeros(len(labels), int(labels.max()) + 1, device=labels.device)
    counts.scatter_add_(1, labels, elements.keep.float())
    return 1 / counts.gather(1, labels).clamp(min=1)


def _correct(elements: LossElements, step_fraction: float) -> Tensor:
    return elements.is_correct.float()


def _wrong(elements: LossElements, step_fraction: float) -> Tensor:
    return (~elements.is_correct).float()


def nll(elements: LossElements) -> Tensor:
    return elements.nll


def sigmoid_margin(elements: LossElements) -> Tensor:
    return elements.margin.sigmoid()


def clipped_margin(elements: LossElements) -> Tensor:
    return elements.margin.clamp(max=MARGIN_CLIP)


def jensen_shannon(elements: LossElements) -> Tensor:
    """JS(probabilities, one-hot label) in nats, in [0, log 2]. It depends on the label's probability alone."""
    prob = (-elements.nll).exp()
    log_mixture = torch.log1p(prob) - LOG_2  # log of the mean of the two distributions, at the label
    return 0.5 * (-log_mixture + (1 - prob) * LOG_2 + prob * (-elements.nll - log_mixture))


@dataclass(frozen=True)
class AttackLoss:
    untargeted_weights: ElementFunction
    targeted_weights: ElementFunction
    term: Callable[[LossElements], Tensor] = nll  # (B, N), what is weighted
    reduction: Literal["mean", "sum"] = "mean"  # over an image's elements; sum: the weights already divide


ATTACK_LOSSES = {
    "ce": AttackLoss(_uniform, _uniform),
    "segpgd": AttackLoss(segpgd_weights, lambda elements, fraction: 1 - segpgd_weights(elements, fraction)),
    "cospgd": AttackLoss(lambda elements, _: elements.cosine, lambda elements, _: 1 - elements.cosine),
    "js": AttackLoss(_uniform, _uniform, term=jensen_shannon),
    "masked": AttackLoss(_correct, _wrong),
    "balanced": AttackLoss(_balanced(_correct), _balanced(_wrong)),
    "margin": AttackLoss(_inverse_label_counts, _inverse_label_counts, term=clipped_margin, reduction="sum"),
    "smooth-errors": AttackLoss(_uniform, _uniform, term=sigmoid_margin),
}


def attack_losses(logits: Tensor, labels: Tensor, kind: str, *, step_fraction: float, targeted: bool = False) -> Tensor:
    """The loss of each image, (B,).

    kind: a key of ATTACK_LOSSES. step_fraction: fraction of the attack's steps that are done, in [0, 1). targeted: use the
    weights of a targeted attack, which lowers the loss.
    """
    loss, elements = ATTACK_LOSSES[kind], LossElements(logits, labels)
    weights = loss.targeted_weights if targeted else loss.untargeted_weights
    total = (loss.term(elements) * weights(elements, step_fraction)).where(elements.keep, 0).sum(1)
    return total / elements.keep.sum(1).clamp(min=1) if loss.reduction == "mean" else total


def error_rate(logits: Tensor, labels: Tensor) -> Tensor:
    """(B,) fraction of each image's labeled elements that the model predicts wrong: pixels, or classes at probability 0.5.

    logits and labels: as in attack_losses. 0 for an image without a labeled element.
    """
    elements = LossElements(logits, labels)
    wrong = ~elements.is_correct & elements.keep
    return wrong.sum(1) / elements.keep.sum(1).clamp(min=1)
