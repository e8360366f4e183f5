"""Ensembles: the mean of probabilities, at the images' original sizes, in the images' order."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vocctl.data.cache_build import cached_split
from vocctl.data.source import open_dataset
from vocctl.inference.ensemble import EnsembleMember, ensemble_probs, mean_probs


class ColorModel(nn.Module):
    """Logits of three classes: the pixel's channels times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.factor * images


def member(data: Path, factor: float, size: int) -> EnsembleMember:
    images = cached_split(open_dataset(data), "val", size)
    return EnsembleMember(ColorModel(factor), images, torch.device("cpu"), "fp32")


def expected_probs(images, index: int, factor: float) -> np.ndarray:
    pixels = torch.from_numpy(np.array(images.image(index))).permute(2, 0, 1).float() / 255
    return (factor * pixels).softmax(dim=0).numpy()


def test_mean_probs_by_hand():
    arrays = [np.array([0.0, 0.5]), np.array([0.25, 1.0]), np.array([0.5, 0.0])]
    assert mean_probs(arrays).tolist() == [0.25, 0.5]
    assert mean_probs(arrays[:1]).tolist() == [0.0, 0.5]
    assert mean_probs([torch.tensor([[0.25]]), torch.tensor([[0.75]])]).tolist() == [[0.5]]


def test_one_member_is_its_own_mean_and_progress_is_reported(tiny):
    only = member(tiny, 3.0, 32)
    progress = []
    results = list(ensemble_probs([only], tta="none", on_image=lambda done, total: progress.append((done, total))))
    assert [index for index, _ in results] == [0, 1, 2, 3]
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for index, probs in results:
        assert probs.numpy() == pytest.approx(expected_probs(only.images, index, 3.0), abs=1e-5)


def test_two_members_are_averaged(tiny):
    first, second = member(tiny, 3.0, 32), member(tiny, -1.0, 32)
    for index, probs in ensemble_probs([first, second], tta="none"):
        mean = (expected_probs(first.images, index, 3.0) + expected_probs(first.images, index, -1.0)) / 2
        assert probs.numpy() == pytest.approx(mean, abs=1e-5)


def test_members_with_different_input_sizes_are_averaged_at_the_original_size(tiny):
    for _, probs in ensemble_probs([member(tiny, 3.0, 64), member(tiny, 3.0, 96)], tta="flip"):
        assert probs.shape == (3, 32, 32)
        assert probs.sum(0).numpy() == pytest.approx(np.ones((32, 32)), abs=1e-5)
