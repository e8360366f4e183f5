"""Batches that are too small for a model's normalization are refused before training."""

from pathlib import Path

import pytest
import torch
from torch import nn

from vocctl.cli.app import main
from vocctl.config import ClsModelConfig, DataConfig, GeneratorConfig, ModelConfig
from vocctl.errors import ConfigError
from vocctl.models.adversary import Adversary
from vocctl.models.classifier import Classifier
from vocctl.models.segmenter import Segmenter
from vocctl.training.batch_check import check_batch_shape, explain_small_batch

MESSAGE = r"batch normalization needs more than one value per channel: take --batch 2 or a larger --size$"


def check(model: nn.Module, *, batch: int = 1, size: int = 32, size_from: int = 0, num_images: int = 8) -> None:
    check_batch_shape(model, DataConfig(size=size, size_from=size_from), batch, num_images)


def plain_segmenter() -> Segmenter:
    return Segmenter(ModelConfig(encoder="scratch", decoder="unet", widths=(8, 8, 8)))


@pytest.mark.parametrize("decoder", ["deeplabv3plus", "upernet"])
def test_decoders_that_average_the_whole_image(decoder):
    """Their pooled branch has one value per channel and image, at every size."""
    model = Segmenter(ModelConfig(encoder="resnet18", decoder=decoder, weights="none"))
    with pytest.raises(ConfigError, match=MESSAGE):
        check(model, size=160)
    check(model, batch=2)


def test_deepest_map_of_one_pixel():
    """At 32 px the stride-32 map of one image has one pixel; at 64 px it has four."""
    builders = [
        lambda size: plain_segmenter(),
        lambda size: Classifier(ClsModelConfig(model="scratch"), size),
        lambda size: Adversary(GeneratorConfig(weights="none"), "linf", 0.03, size),
    ]
    for build in builders:
        with pytest.raises(ConfigError, match=MESSAGE):
            check(build(32))
        check(build(32), batch=2)
        check(build(64), size=64)


def test_the_smallest_crop_counts():
    with pytest.raises(ConfigError, match=r"or a larger --size-from$"):
        check(plain_segmenter(), size=160, size_from=32)


def test_a_split_of_one_image():
    with pytest.raises(ConfigError, match=r"take more training images or a larger --size$"):
        check(plain_segmenter(), batch=4, num_images=1)


def test_frozen_statistics_accept_one_value():
    check(Segmenter(ModelConfig(encoder="tf_efficientnet_lite0", decoder="mlp")))
    check(Classifier(ClsModelConfig(model="tf_efficientnet_lite0"), 32))


def test_the_model_and_the_random_numbers_are_unchanged():
    model = plain_segmenter().eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    check(model, batch=2)
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.InstanceNorm2d(3), "instance normalization needs more than one pixel"),
        (nn.Conv2d(3, 3, 5), "the model needs larger images than 32 px: take a larger --size"),
        (nn.MaxPool2d(4), "the model needs larger images than 32 px"),
        (nn.ReflectionPad2d(2), "the model needs larger images than 32 px"),
    ],
)
def test_layers_that_need_more_pixels(layer, text):
    with pytest.raises(ConfigError, match=text):
        check(nn.Sequential(nn.AvgPool2d(32), layer), batch=4)


def test_a_model_that_needs_values_is_not_checked():
    class NeedsValues(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images[: int(images.sum().item())]

    check(NeedsValues())


def test_other_errors_are_kept():
    with pytest.raises(ValueError, match="our bug"), explain_small_batch(DataConfig(), 1, 8):
        raise ValueError("our bug")


@pytest.mark.parametrize(
    "command",
    [
        ["train-seg", "--encoder", "scratch", "--decoder", "unet", "--widths", "8,8,8"],
        ["train-cls", "--model", "scratch"],
    ],
)
def test_nothing_is_written_before_the_error(command, tiny_set, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = ["--data", str(tiny_set), "--size", "32", "--size-from", "0", "--batch", "1", "--quiet"]
    assert main([*command, *flags]) == 2
    assert "take --batch 2 or a larger --size" in capsys.readouterr().err
    assert not Path("runs").exists()
