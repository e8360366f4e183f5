"""The linear probe against scikit-learn's logistic regression, with pairs that are ignored and labels that nothing has."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from vocctl.labels import IGNORE
from vocctl.training.probe import DECAY, linear_probe


def made() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(300, 12, generator=generator) * torch.linspace(0.01, 30, 12) + 5
    truth = torch.randn(4, 12, generator=generator) / torch.linspace(0.01, 30, 12)
    logits = (features - 5) @ truth.T + torch.randn(300, 4, generator=generator)
    return features, (logits > torch.tensor([0.0, 2.0, -2.0, 4.0])).to(torch.uint8)


def test_it_is_the_logistic_regression_of_scikit_learn() -> None:
    features, targets = made()
    targets[::7, 1] = IGNORE
    weight, bias = linear_probe(features, targets)
    assert weight.shape == (4, 12)
    scaled = StandardScaler().fit_transform(features.double().numpy())
    for label in range(4):
        kept = targets[:, label].numpy() != IGNORE
        theirs = LogisticRegression(C=1 / (DECAY * kept.sum()), tol=1e-8, max_iter=1000)
        theirs.fit(scaled[kept], targets[kept, label].numpy())
        wanted = theirs.decision_function(scaled)
        found = features @ weight[label] + bias[label]
        assert np.abs(found.numpy() - wanted).max() < 5e-3 * np.abs(wanted).max()


def test_features_that_never_change_and_labels_that_nothing_has_leave_finite_weights() -> None:
    features, targets = made()
    features[:, 3] = 7.0
    targets[:, 0], targets[:, 1], targets[:, 2] = 0, 1, IGNORE
    weight, bias = linear_probe(features, targets)
    assert weight.isfinite().all()
    assert bias.isfinite().all()
    probs = torch.sigmoid(features @ weight.T + bias)
    assert (probs[:, 0] < 0.01).all()
    assert (probs[:, 1] > 0.99).all()
    assert (weight[2] == 0).all()
