"""The plain CNN, as an encoder and as a classifier."""

import itertools

import torch
from torch import nn

from vocctl.models.plain_cnn import PlainClassifier, PlainEncoder, conv_block


def test_features_at_strides_4_to_32():
    encoder = PlainEncoder().eval()
    features = encoder(torch.zeros(2, 3, 64, 96))
    assert [tuple(feature.shape) for feature in features] == [
        (2, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(encoder.channels, encoder.strides, strict=True)
    ]
    assert encoder.strides == (4, 8, 16, 32)


def test_the_deepest_features_depend_on_every_stage():
    encoder = PlainEncoder().eval()
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    encoder(images)[-1].sum().backward()
    assert all((parameter.grad is not None) for parameter in encoder.parameters())
    assert (images.grad != 0).any()


def test_parameter_count_by_hand():
    # a stage from a to b channels: 9ab + 9bb weights and two batch norms of 2b
    widths = (3, 32, 64, 128, 256, 256)
    expected = sum(9 * a * b + 9 * b * b + 4 * b for a, b in itertools.pairwise(widths))
    assert sum(parameter.numel() for parameter in PlainEncoder().parameters()) == expected


def test_conv_block_halves_the_sides_with_stride_2():
    block = conv_block(3, 5, stride=2).eval()
    out = block(torch.rand(1, 3, 8, 6))
    assert out.shape == (1, 5, 4, 3)
    assert (out >= 0).all()
    assert [type(layer) for layer in block] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert block[0].bias is None


def test_the_classifier_has_the_methods_of_a_timm_model():
    model = PlainClassifier(20).eval()
    assert model(torch.zeros(2, 3, 64, 96)).shape == (2, 20)
    assert model.get_classifier() is model.fc
