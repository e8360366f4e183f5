"""The U-Net decoder: shapes, and which features reach the logits."""

import pytest
import torch
from torch import Tensor

from vocctl.errors import ConfigError
from vocctl.models.unet import UNetDecoder

CHANNELS, STRIDES, WIDTHS = (4, 6, 8), (4, 8, 16), (7, 5)


def features() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    sides = ((16, 24), (8, 12), (4, 6))
    drawn = [torch.randn(2, c, *side, generator=generator) for c, side in zip(CHANNELS, sides, strict=True)]
    return [feature.requires_grad_() for feature in drawn]


@pytest.mark.parametrize("skip", [True, False])
def test_logits_at_the_finest_stride(skip):
    decoder = UNetDecoder(CHANNELS, STRIDES, WIDTHS, 21, skip=skip).eval()
    assert decoder(features()).shape == (2, 21, 16, 24)


def test_with_skip_the_logits_depend_on_every_feature():
    inputs = features()
    UNetDecoder(CHANNELS, STRIDES, WIDTHS, 21, skip=True).eval()(inputs).square().sum().backward()
    assert all((feature.grad != 0).any() for feature in inputs)


def test_without_skip_the_logits_depend_on_the_deepest_features_only():
    inputs = features()
    decoder = UNetDecoder(CHANNELS, STRIDES, WIDTHS, 21, skip=False).eval()
    logits = decoder(inputs)
    logits.square().sum().backward()
    assert inputs[0].grad is None or not inputs[0].grad.any()
    assert inputs[1].grad is None or not inputs[1].grad.any()
    assert (inputs[2].grad != 0).any()
    shallow = [torch.zeros_like(inputs[0]), torch.zeros_like(inputs[1]), inputs[2]]
    assert torch.equal(decoder(shallow), logits)


def test_parameter_count_by_hand():
    # a step from (deep + fine) to w: 9 (deep + fine) w + 9 w w + 4 w; the head: 21 w + 21; the pixel classifier of D
    # features: 256 D + 256 + 21 * 256 + 21, where D = 4 + 6 + 8 + 8 with skips and 8 + 8 without
    pixels = 256 + 21 * 256 + 21
    with_skip = pixels + 256 * 26 + (9 * 14 * 7 + 9 * 49 + 28) + (9 * 11 * 5 + 9 * 25 + 20) + (21 * 5 + 21)
    without = pixels + 256 * 16 + (9 * 8 * 7 + 9 * 49 + 28) + (9 * 7 * 5 + 9 * 25 + 20) + (21 * 5 + 21)
    for skip, expected in ((True, with_skip), (False, without)):
        decoder = UNetDecoder(CHANNELS, STRIDES, WIDTHS, 21, skip=skip)
        assert sum(parameter.numel() for parameter in decoder.parameters()) == expected


def test_odd_sides():
    inputs = [torch.zeros(1, 4, 9, 7), torch.zeros(1, 6, 5, 4), torch.zeros(1, 8, 3, 2)]
    assert UNetDecoder(CHANNELS, STRIDES, WIDTHS, 21, skip=True).eval()(inputs).shape == (1, 21, 9, 7)


@pytest.mark.parametrize("widths", [(7,), (7, 5, 3), ()])
def test_a_wrong_number_of_widths(widths):
    with pytest.raises(ConfigError, match=f"needs 2 decoder widths, deepest first; got {len(widths)}"):
        UNetDecoder(CHANNELS, STRIDES, widths, 21, skip=True)
