"""Depthwise convolutions that run in fp32 under a CPU's bf16 autocast."""

import copy

import pytest
import torch
from torch import nn

from vocctl.models.depthwise import train_depthwise_in_fp32


def convolutions() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict(
        {
            "wide": nn.Conv2d(4, 4, 5, padding=2, groups=4),
            "strided": nn.Conv2d(4, 4, 3, stride=2, groups=4),
            "small": nn.Conv2d(4, 4, 3, groups=4),  # as fast in bf16
            "dense": nn.Conv2d(4, 4, 5),
            "grouped": nn.Conv2d(4, 4, 5, groups=2),
            "single": nn.Conv2d(1, 4, 5),
        }
    )


def pixels(channels: int = 4) -> torch.Tensor:
    return torch.randn(2, channels, 9, 9, generator=torch.Generator().manual_seed(1))


def in_bf16(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return module(x)


def test_only_slow_convolutions_run_in_fp32():
    convs = convolutions()
    train_depthwise_in_fp32(convs)
    dtypes = {name: in_bf16(conv, pixels(conv.in_channels)).dtype for name, conv in convs.items()}
    fp32 = {name for name, dtype in dtypes.items() if dtype == torch.float32}
    assert fp32 == {"wide", "strided"}


@pytest.mark.parametrize("name", ["wide", "strided"])
def test_under_bf16_the_result_is_that_of_fp32(name):
    conv = convolutions()[name]
    expected = conv(pixels())
    bf16_result = in_bf16(conv, pixels())
    train_depthwise_in_fp32(conv)
    assert torch.equal(in_bf16(conv, pixels()), expected)
    assert torch.allclose(expected, bf16_result.float(), atol=0.05)
    assert not torch.equal(expected, bf16_result.float())


def test_bf16_input_gives_bf16_output():
    conv = convolutions()["wide"]
    expected = conv(pixels().bfloat16().float()).bfloat16()
    train_depthwise_in_fp32(conv)
    assert torch.equal(in_bf16(conv, pixels().bfloat16()), expected)


def test_without_autocast_nothing_changes():
    conv = convolutions()["wide"]
    expected = conv(pixels())
    train_depthwise_in_fp32(conv)
    assert torch.equal(conv(pixels()), expected)


def test_gradients_are_those_of_fp32():
    conv, plain = convolutions()["wide"], convolutions()["wide"]
    train_depthwise_in_fp32(conv)
    plain(pixels()).square().sum().backward()
    in_bf16(conv, pixels()).square().sum().backward()
    assert torch.allclose(conv.weight.grad, plain.weight.grad)


def test_a_deep_copy_runs_on_its_own_weights():
    conv = convolutions()["wide"]
    train_depthwise_in_fp32(conv)
    copied = copy.deepcopy(conv)
    expected = conv(pixels())
    with torch.no_grad():
        conv.weight.zero_()
        conv.bias.zero_()
    assert torch.equal(copied(pixels()), expected)
    assert not conv(pixels()).any()


def test_a_subclass_keeps_its_own_padding():
    from timm.layers import Conv2dSame

    conv = Conv2dSame(4, 4, 3, stride=2, groups=4)
    expected = conv(pixels())
    train_depthwise_in_fp32(conv)
    assert conv(pixels()).shape == (2, 4, 5, 5)
    assert torch.equal(conv(pixels()), expected)


def test_the_weights_keep_their_names():
    convs = convolutions()
    names = list(convs.state_dict())
    train_depthwise_in_fp32(convs)
    assert list(convs.state_dict()) == names
