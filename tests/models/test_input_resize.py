"""Models as attacks see them: the differentiable resize, its gradient, and the mean probabilities of an ensemble."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vocctl.data.resize import resize_to_model
from vocctl.models.input_resize import LogitEnsemble, ResizeWrapper, resize_differentiable


class TinyModel(nn.Module):
    """K = 3 logits of a 1 x 1 convolution: at every pixel of a segmenter, their mean over the image of a classifier."""

    def __init__(self, seed: int, segmenter: bool) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layer, self.segmenter = nn.Conv2d(3, 3, 1), segmenter
        self.input_size = torch.Size()

    def features(self, images: Tensor) -> Tensor:
        return images[:, :, ::16, ::16]

    def forward(self, images: Tensor) -> Tensor:
        self.input_size = images.shape[-2:]
        logits = self.layer(images)
        return logits if self.segmenter else logits.mean((2, 3))

    def forward_with_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self(images), self.features(images)


def random_images(height: int, width: int) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))


SIZES = [
    *((375, 500), (500, 375), (224, 224), (300, 301), (100, 120)),
    *((165, 183), (183, 165), (700, 50), (50, 700)),  # one side shrinks and the other grows
]


@pytest.mark.parametrize("size", SIZES)
def test_resize_equals_the_cache_apart_from_rounding(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    resized = resize_differentiable(torch.from_numpy(image).permute(2, 0, 1)[None].float(), 160)[0].permute(1, 2, 0)
    cached = torch.from_numpy(resize_to_model(image, 160)).float()
    assert resized.shape == cached.shape
    assert (resized - cached).abs().max() <= 1.01  # steps of 1 / 255
    assert (resized - cached).abs().mean() < 0.3


def test_images_of_the_input_size_are_not_resized():
    images = random_images(64, 96)
    assert resize_differentiable(images, 64) is images


@pytest.mark.parametrize("segmenter", [True, False])
@pytest.mark.parametrize("size", [(128, 192), (40, 50)])
def test_wrapper_runs_the_model_at_its_size_and_returns_logits_of_the_images(segmenter, size):
    model = TinyModel(0, segmenter).train()
    wrapper, images = ResizeWrapper(model, 64, "fp32"), random_images(*size).requires_grad_()
    logits = wrapper(images)
    assert min(model.input_size) == 64
    assert logits.shape == ((2, 3, *size) if segmenter else (2, 3))
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    (gradient,) = torch.autograd.grad(logits.square().sum(), images)
    assert (gradient != 0).any(1).any(0).all()  # every pixel of the images has an influence
    both = wrapper.forward_with_features(images)
    assert torch.equal(both[0], logits)
    assert torch.equal(both[1], wrapper.features(images))


@pytest.mark.parametrize("segmenter", [True, False])
def test_ensemble_averages_probabilities(segmenter):
    members = [ResizeWrapper(TinyModel(seed, segmenter), 64, "fp32") for seed in range(3)]
    images = random_images(64, 64)
    to_probs = (lambda logits: logits.softmax(1)) if segmenter else torch.sigmoid
    expected = torch.stack([to_probs(member(images)) for member in members]).mean(0)
    ensemble = LogitEnsemble(members)
    logits, features = ensemble.forward_with_features(images)
    assert torch.allclose(to_probs(ensemble(images)), expected, atol=1e-6)
    assert torch.equal(logits, ensemble(images))
    assert torch.equal(features, ensemble.features(images))
    assert features.shape == (2, 3 * 3 * 4 * 4)


def test_ensemble_of_one_model_returns_its_logits():
    member, images = ResizeWrapper(TinyModel(0, segmenter=True), 64, "fp32"), random_images(64, 64)
    assert torch.equal(LogitEnsemble([member])(images), member(images))
