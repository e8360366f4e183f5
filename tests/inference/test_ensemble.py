"""The mean of several segmenters' probabilities, at the image's own size, in the images' order."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vocctl.data.cache import cached_split
from vocctl.data.source import open_dataset
from vocctl.inference.ensemble import EnsembleMember, ensemble_probs


class Colors(nn.Module):
    """Logits of three classes: the pixel's channels times a factor."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.factor * images


def member(data: Path, factor: float, size: int) -> EnsembleMember:
    images = cached_split(open_dataset(data), "val", size)
    return EnsembleMember(Colors(factor), images, torch.device("cpu"), "fp32")


def wanted(images, index: int, factor: float) -> np.ndarray:
    pixels = torch.from_numpy(np.array(images.image(index))).permute(2, 0, 1).float() / 255
    return (factor * pixels).softmax(dim=0).numpy()


def test_one_member_is_its_own_mean(tiny):
    only = member(tiny, 3.0, 32)
    seen = []
    found = list(ensemble_probs([only], tta="none", on_image=lambda done, total: seen.append((done, total))))
    assert [index for index, _ in found] == [0, 1, 2, 3]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for index, probs in found:
        assert probs.numpy() == pytest.approx(wanted(only.images, index, 3.0), abs=1e-5)


def test_two_members_are_averaged(tiny):
    first, second = member(tiny, 3.0, 32), member(tiny, -1.0, 32)
    for index, probs in ensemble_probs([first, second], tta="none"):
        mean = (wanted(first.images, index, 3.0) + wanted(first.images, index, -1.0)) / 2
        assert probs.numpy() == pytest.approx(mean, abs=1e-5)


def test_members_of_different_sizes_meet_at_the_images_own(tiny):
    for _, probs in ensemble_probs([member(tiny, 3.0, 64), member(tiny, 3.0, 96)], tta="flip"):
        assert probs.shape == (3, 32, 32)
        assert probs.sum(0).numpy() == pytest.approx(np.ones((32, 32)), abs=1e-5)
