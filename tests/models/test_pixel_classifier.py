"""Pixel classifiers: the features of a pixel, worked out by hand, and which maps reach the logits."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pixel_features import features_on_grid
from vocctl.config import ModelConfig
from vocctl.models.pixel_classifier import HIDDEN, PixelClassifier
from vocctl.models.segmenter import Segmenter
from vocctl.models.unet import UNetDecoder

CHANNELS, STRIDES = (2, 3, 4), (4, 8, 16)


def hand_made() -> list[Tensor]:
    """Maps (1, 1, h, w) of 4 x 4, 2 x 2 and 1 x 1 pixels."""
    values = [torch.arange(16.0), torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([7.0])]
    return [value.view(1, 1, side, side) for value, side in zip(values, (4, 2, 1), strict=True)]


def random_maps(batch: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(batch, c, 64 // s, 96 // s, generator=generator) for c, s in zip(CHANNELS, STRIDES, strict=True)
    ]


def classifier(hidden: int = 0, *, skip: bool = True) -> PixelClassifier:
    torch.manual_seed(0)
    return PixelClassifier(CHANNELS, STRIDES, 5, hidden=hidden, skip=skip).eval()


def test_finer_maps_are_averaged_and_the_last_map_has_its_mean_beside_it():
    features = features_on_grid(hand_made(), STRIDES, 1)
    # (0 + 1 + 4 + 5) / 4 = 2.5, ...; the map itself; 1 x 1 pixel everywhere; its mean
    expected = [[[2.5, 4.5], [10.5, 12.5]], [[1, 2], [3, 4]], [[7, 7], [7, 7]], [[7, 7], [7, 7]]]
    assert features[0].tolist() == expected


def test_coarser_maps_are_interpolated():
    features = features_on_grid(hand_made(), STRIDES, 0)
    # the centers of 4 pixels lie at -0.25, 0.25, 0.75 and 1.25 of 2 pixels; outside 0..1 the edge's value counts
    assert features[0, 1, 0].tolist() == [1, 1.25, 1.75, 2]
    assert features[0, 1, :, 0].tolist() == [1, 1.5, 2.5, 3]


@torch.no_grad()
def test_the_mean_is_that_of_the_deepest_map():
    model = PixelClassifier((1, 1), STRIDES[:2], 3, hidden=0, skip=True)
    model.layers[0].weight.copy_(torch.eye(3))
    model.layers[0].bias.zero_()
    assert model(hand_made()[:2])[0, 2].unique().tolist() == [2.5]  # of 1, 2, 3 and 4


@torch.no_grad()
@pytest.mark.parametrize("hidden", [0, 8])
def test_half_precision_rounds_features_after_they_are_centered(hidden):
    """Some features of large ViTs have a mean of many standard deviations, which would round them away."""
    model, maps = classifier(hidden), random_maps()
    model.standardize(torch.full((13,), 50.0), torch.ones(13))
    shifted = [level + 50 for level in maps]
    exact = model(shifted)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(shifted)
        features = features_on_grid(shifted, STRIDES, 1).permute(0, 2, 3, 1)
        of_features = model.classify(features).permute(0, 3, 1, 2)
    assert torch.allclose(rounded.float(), exact, atol=0.02)
    assert torch.allclose(of_features.float(), exact, atol=0.02)


@pytest.mark.parametrize(
    ("strides", "grid"), [((4, 8, 16, 32), 1), ((16, 16, 16, 16), 0), ((4, 16), 0), ((2, 4, 8), 2), ((32,), 0)]
)
def test_logits_have_the_stride_nearest_to_8(strides, grid):
    channels = (2,) * len(strides)
    assert PixelClassifier(channels, strides, 5, hidden=0, skip=True).grid_level == grid


def test_logits_at_stride_8():
    assert classifier()(random_maps()).shape == (2, 5, 8, 12)
    assert classifier(skip=False)(random_maps()).shape == (2, 5, 4, 6)  # of the deepest map


def test_parameters_by_hand():
    # 2 + 3 + 4 features and the mean of the last 4
    for hidden, expected in ((0, 13 * 5 + 5), (7, 13 * 7 + 7 + 7 * 5 + 5)):
        assert sum(parameter.numel() for parameter in classifier(hidden).parameters()) == expected
    assert sum(parameter.numel() for parameter in classifier(skip=False).parameters()) == 8 * 5 + 5


@torch.no_grad()
def test_only_the_mlp_bends():
    """A linear classifier of features without an offset doubles with them, up to its bias."""
    maps = random_maps()
    for hidden, is_linear in ((0, True), (16, False)):
        model = classifier(hidden)
        bias = model([0 * level for level in maps])
        doubled = model([2 * level for level in maps]) - bias
        assert torch.allclose(doubled, 2 * (model(maps) - bias), atol=1e-4) == is_linear


@torch.no_grad()
def test_standardized_features():
    model = PixelClassifier((2,), (8,), 4, hidden=0, skip=True)
    model.layers[0].weight.copy_(torch.eye(4))
    model.layers[0].bias.zero_()
    model.standardize(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([0.5, 1.0, 2.0, 0.0]))
    logits = model.classify(torch.tensor([2.0, 2.0, 5.0, 4.0]))
    assert logits.tolist() == [2, 0, 1, 0]  # a feature that never varies is not divided by 0
    assert {"mean", "std"} <= model.state_dict().keys()


@torch.no_grad()
@pytest.mark.parametrize("hidden", [0, 8])
@pytest.mark.parametrize("grid_level", [0, 1, 2])
def test_logits_of_maps_are_those_of_their_features(hidden, grid_level):
    """The first layer of one goes before the interpolation, that of the other after it."""
    model, maps = classifier(hidden), random_maps()
    model.grid_level = grid_level
    model.standardize(torch.linspace(-1, 1, 13), torch.linspace(0.5, 2, 13))
    on_grid = features_on_grid(maps, STRIDES, grid_level).permute(0, 2, 3, 1)
    assert torch.allclose(model(maps), model.classify(on_grid).permute(0, 3, 1, 2), atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("hidden", [0, 8])
def test_without_skips_only_the_deepest_map_counts(hidden):
    model, maps = classifier(hidden, skip=False), random_maps()
    others = [torch.full_like(level, 9.0) for level in maps[:-1]]
    assert torch.equal(model([*others, maps[-1]]), model(maps))
    assert not torch.equal(model([*maps[:-1], 2 * maps[-1]]), model(maps))


@torch.no_grad()
def test_with_skips_every_map_counts():
    model, maps = classifier(), random_maps()
    for level in range(len(maps)):
        changed = [2 * m if index == level else m for index, m in enumerate(maps)]
        assert not torch.allclose(model(changed), model(maps))


@torch.no_grad()
def test_features_of_all_maps_are_accepted_without_skips():
    model, maps = classifier(skip=False), random_maps()
    on_grid = features_on_grid(maps, STRIDES, 2).permute(0, 2, 3, 1)
    assert torch.allclose(model.classify(on_grid).permute(0, 3, 1, 2), model(maps), atol=1e-6)


@torch.no_grad()
def test_maps_of_a_vit():
    model = Segmenter(ModelConfig(encoder="vit_tiny_patch16_224", decoder="linear", weights="none")).eval()
    images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    assert [tuple(level.shape) for level in model.feature_maps(images)] == [(1, 192, 4, 6)] * 4
    assert model.pixel_classifier.num_features == 5 * 192
    assert model(images).shape == (1, 21, 64, 96)


@torch.no_grad()
@pytest.mark.parametrize("skip", [True, False])
def test_a_unet_starts_from_its_pixel_classifier(skip):
    torch.manual_seed(0)
    unet, maps = UNetDecoder(CHANNELS, STRIDES, (7, 5), 5, skip=skip).eval(), random_maps()
    alone = F.interpolate(unet.pixels(maps), size=(16, 24), mode="bilinear", align_corners=False)
    assert not torch.allclose(unet(maps), alone)
    unet.init_from_pixel_classifier()
    assert torch.allclose(unet(maps), alone)
    assert unet.pixels.layers[0].out_features == HIDDEN


@torch.no_grad()
@pytest.mark.parametrize("decoder", ["linear", "unet"])
def test_logits_of_images_of_maps_and_of_features_agree(decoder):
    torch.manual_seed(0)
    model = Segmenter(ModelConfig(encoder="scratch", decoder=decoder, widths=(8, 8, 8))).eval()
    images = torch.rand(2, 3, 64, 96)
    maps = model.feature_maps(images)
    assert torch.allclose(model.logits_from_feature_maps(maps, (64, 96)), model(images), atol=1e-6)
    features = features_on_grid(maps, (4, 8, 16, 32), 1).flatten(2).transpose(1, 2)  # (B, P, D)
    logits = model.pixel_classifier(maps).flatten(2)
    assert torch.allclose(model(features), logits, atol=1e-6)
