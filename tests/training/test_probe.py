"""The linear probe against scikit-learn's logistic regression, with ignored pairs and labels without examples."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from vocctl.labels import IGNORE
from vocctl.training.probe import L2_PENALTY, evenly_spaced, linear_probe


def example() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(300, 12, generator=generator) * torch.linspace(0.01, 30, 12) + 5
    truth = torch.randn(4, 12, generator=generator) / torch.linspace(0.01, 30, 12)
    logits = (features - 5) @ truth.T + torch.randn(300, 4, generator=generator)
    return features, (logits > torch.tensor([0.0, 2.0, -2.0, 4.0])).to(torch.uint8)


def test_equals_scikit_learns_logistic_regression() -> None:
    features, targets = example()
    targets[::7, 1] = IGNORE
    weight, bias = linear_probe(features, targets)
    assert weight.shape == (4, 12)
    scaled = StandardScaler().fit_transform(features.double().numpy())
    for label in range(4):
        labeled = targets[:, label].numpy() != IGNORE
        oracle = LogisticRegression(C=1 / (L2_PENALTY * labeled.sum()), tol=1e-8, max_iter=1000)
        oracle.fit(scaled[labeled], targets[labeled, label].numpy())
        expected = oracle.decision_function(scaled)
        logits = features @ weight[label] + bias[label]
        assert np.abs(logits.numpy() - expected).max() < 5e-3 * np.abs(expected).max()


def test_constant_features_and_labels_of_one_class_give_finite_weights() -> None:
    features, targets = example()
    features[:, 3] = 7.0
    targets[:, 0], targets[:, 1], targets[:, 2] = 0, 1, IGNORE
    weight, bias = linear_probe(features, targets)
    assert weight.isfinite().all()
    assert bias.isfinite().all()
    probs = torch.sigmoid(features @ weight.T + bias)
    assert (probs[:, 0] < 0.01).all()
    assert (probs[:, 1] > 0.99).all()
    assert (weight[2] == 0).all()


def test_evenly_spaced() -> None:
    assert evenly_spaced(10, 4) == [0, 3, 6, 9]
    assert evenly_spaced(3, 10) == [0, 1, 2]
    assert evenly_spaced(10, 1) == [0]
    assert len(set(evenly_spaced(4001, 4000))) == 4000
