"""Normalization inside the model."""

import torch

from vocctl.models.normalize import Normalize


def test_by_hand():
    layer = Normalize((0.5, 0.25, 0.0), (0.5, 0.25, 1.0))
    images = torch.tensor([1.0, 0.5, 0.75]).reshape(1, 3, 1, 1)
    # (1 - .5) / .5, (.5 - .25) / .25, .75
    assert layer(images).flatten().tolist() == [1, 1, 0.75]


def test_every_pixel_is_normalized_alike():
    layer = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    images = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    normalized = layer(images)
    assert normalized.shape == images.shape
    for channel, (mean, std) in enumerate(zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)):
        assert torch.allclose(normalized[:, channel] * std + mean, images[:, channel], atol=1e-6)


def test_the_statistics_are_saved_with_the_weights_and_not_trained():
    layer = Normalize((0.5,) * 3, (0.25,) * 3)
    assert list(layer.state_dict()) == ["mean", "std"]
    assert list(layer.parameters()) == []


def test_the_gradient_of_a_pixel_is_one_over_std():
    images = torch.rand(1, 3, 2, 2).requires_grad_()
    Normalize((0.5,) * 3, (0.25,) * 3)(images).sum().backward()
    assert (images.grad == 4).all()
