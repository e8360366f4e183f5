"""A linear probe: the logistic regression of the labels on a network's features, fitted before anything is trained.

A head that begins at random pulls the pretrained body along while it learns; one that begins as a probe leaves it where it
is. Source: Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution", ICLR 2022,
arXiv 2202.10054.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from vocctl.labels import IGNORE

DECAY = 0.2  # L2 on the weights of features of unit variance, beside the mean loss over the images
ITERATIONS = 100  # of L-BFGS, which is done long before


def linear_probe(features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Weight (K, D) and bias (K,), float32, of one binary regression for each label.

    features: (N, D) float32. targets: (N, K), 1, 0 or IGNORE; a pair that is ignored counts for nothing.
    """
    mean, std = features.mean(0), features.std(0, correction=0).clamp(min=1e-6)
    scaled = (features - mean) / std
    true, keep = (targets == 1).float(), (targets != IGNORE).float()
    weight = torch.zeros(targets.shape[1], features.shape[1], requires_grad=True)
    bias = torch.zeros(targets.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        pairs = F.binary_cross_entropy_with_logits(F.linear(scaled, weight, bias), true, weight=keep, reduction="none")
        whole = (pairs.sum(0) / keep.sum(0).clamp(min=1)).sum() + DECAY / 2 * weight.square().sum()
        whole.backward()
        return whole

    optimizer.step(loss)
    unscaled = weight.detach() / std
    return unscaled, bias.detach() - unscaled @ mean
