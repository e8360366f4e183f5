"""timm networks as encoders."""

import pytest
import timm
import torch

from vocctl.errors import ConfigError
from vocctl.models.encoder import TimmEncoder, check_known, is_plain_vit, vit_arguments


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0", "convnext_atto"])
def test_features_at_strides_of_4_and_more(name):
    encoder = TimmEncoder(name, "none").eval()
    assert encoder.strides == (4, 8, 16, 32)
    with torch.no_grad():
        features = encoder(torch.zeros(1, 3, 64, 96))
    assert [tuple(feature.shape) for feature in features] == [
        (1, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(encoder.channels, encoder.strides, strict=True)
    ]


def test_channels_last_features_become_channels_first():
    class ChannelsLast(torch.nn.Module):
        def __init__(self, backbone: torch.nn.Module) -> None:
            super().__init__()
            self.backbone = backbone

        def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
            return [feature.permute(0, 2, 3, 1) for feature in self.backbone(images)]

    encoder = TimmEncoder("resnet18", "none").eval()
    images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = encoder(images)
        encoder.backbone = ChannelsLast(encoder.backbone)
        for feature, expected_feature in zip(encoder(images), expected, strict=True):
            assert torch.equal(feature, expected_feature)
            assert feature.is_contiguous()


def test_a_name_that_timm_does_not_have():
    with pytest.raises(ConfigError, match=r"timm has no model 'resnet_18', did you mean .*resnet.*18"):
        TimmEncoder("resnet_18", "none")
    with pytest.raises(ConfigError, match="timm has no model"):
        check_known("")
    check_known("resnet18")


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "deit_tiny_patch16_224", "aimv2_large_patch14_224"])
def test_a_plain_vit_has_one_stride(name):
    assert is_plain_vit(name)


@pytest.mark.parametrize(
    ("name", "channels", "stride"), [("vit_tiny_patch16_224", 192, 16), ("vit_small_patch32_224", 384, 32)]
)
def test_a_plain_vit_gives_the_maps_of_four_blocks(name, channels, stride):
    encoder = TimmEncoder(name, "none").eval()
    assert (encoder.channels, encoder.strides) == ((channels,) * 4, (stride,) * 4)
    assert encoder.backbone.feature_info.out_indices == (2, 5, 8, 11)  # the last of each quarter of 12 blocks
    with torch.no_grad():
        features = encoder(torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)))
    assert [tuple(feature.shape) for feature in features] == [(1, channels, 64 // stride, 96 // stride)] * 4
    assert not any(torch.equal(features[0], feature) for feature in features[1:])


def test_patches_that_do_not_divide_32_become_patches_of_16_pixels():
    assert vit_arguments("vit_small_patch14_dinov2") == {"dynamic_img_size": True, "patch_size": 16}
    assert vit_arguments("vit_small_patch32_224") == {"dynamic_img_size": True}


@pytest.mark.parametrize("name", ["resnet18", "swin_tiny_patch4_window7_224", "mobilevitv2_050", "convnext_atto"])
def test_networks_with_stages_are_not_plain_vits(name):
    assert not is_plain_vit(name)


def test_a_network_without_features(monkeypatch):
    def refuse(name, **kwargs):
        raise RuntimeError("features_only not implemented for Vision Transformer models.")

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(ConfigError, match="resnet18 offers no features to a decoder: use another --encoder"):
        TimmEncoder("resnet18", "none")
