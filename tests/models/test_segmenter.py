"""Segmenters of every encoder and decoder, and combinations that are refused."""

from typing import get_args

import pytest
import timm
import torch
from safetensors.torch import save_file

from vocctl.config import ModelConfig
from vocctl.config.segmentation import Decoder
from vocctl.errors import ConfigError, DataError
from vocctl.models import segmenter
from vocctl.models.segmenter import ARCHITECTURES, OWN_DECODERS, Segmenter, parameter_counts
from vocctl.models.weights import packaged_tensors

VIT = "vit_tiny_patch16_224"


def test_dpt_over_an_aimv2_model():
    """Its patches of 14 pixels become patches of 16. On the meta device: it has 310 million parameters."""
    with torch.device("meta"):
        model = Segmenter(ModelConfig(encoder="aimv2_large_patch14_224", decoder="dpt", weights="none")).eval()
        assert model(torch.empty(1, 3, 96, 70)).shape == (1, 21, 96, 70)
    assert model.encoder.output_strides == [16] * 4


@torch.no_grad()
def test_dpt_resamples_patch_embeddings_of_14_pixels(tmp_path):
    """A patch kernel that is constant stays constant up to the factor that keeps its response to a constant image."""
    name = "vit_small_patch14_dinov2"
    tensors = timm.create_model(name, pretrained=False).state_dict()
    tensors["patch_embed.proj.weight"] = torch.full_like(tensors["patch_embed.proj.weight"], 1.0)
    save_file(tensors, tmp_path / "w.safetensors")
    model = build(encoder=name, decoder="dpt", weights=str(tmp_path / "w.safetensors"))
    vit = model.encoder.model
    assert vit.patch_embed.proj.weight.shape == (384, 3, 16, 16)
    # sum over a patch of 14 x 14 pixels and 3 channels: the response to an image of ones
    assert vit.patch_embed.proj.weight[0].sum() == pytest.approx(3 * 14 * 14, rel=0.02)
    assert torch.equal(vit.blocks[2].mlp.fc1.weight, tensors["blocks.2.mlp.fc1.weight"])
    assert model(pixels(64, 32)).shape == (1, 21, 64, 32)


def build(**settings) -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(ModelConfig(**{"encoder": "resnet18", "decoder": "unet", "weights": "none"} | settings)).eval()


def pixels(height: int, width: int, batch: int = 1) -> torch.Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.fixture(scope="module")
def unet() -> Segmenter:
    return build(widths=(16, 8, 8))


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(64, 64), (33, 70), (1, 1), (96, 32), (31, 65)])
def test_logits_for_each_pixel_of_any_size(unet, height, width):
    logits = unet(pixels(height, width, batch=2))
    assert (logits.shape, logits.dtype) == ((2, 21, height, width), torch.float32)
    assert logits.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize(("stride", "expected"), [(1, (64, 96)), (2, (32, 48)), (3, (22, 32)), (4, (16, 24))])
def test_logits_at_another_stride(unet, stride, expected):
    logits = unet(pixels(64, 96), stride)
    assert logits.shape == (1, 21, *expected)
    if stride == 4:  # the decoder's own: nothing is interpolated
        assert torch.equal(logits, unet.backbone(unet.normalize(pixels(64, 96))))


@torch.no_grad()
def test_logits_do_not_depend_on_the_rest_of_the_batch(unet):
    batch = pixels(64, 64, batch=2)
    assert torch.allclose(unet(batch)[1:], unet(batch[1:]), atol=1e-5)


def test_every_decoder_has_an_architecture():
    assert {*OWN_DECODERS, *ARCHITECTURES} == set(get_args(Decoder))


@torch.no_grad()
@pytest.mark.parametrize("decoder", [name for name in get_args(Decoder) if name != "dpt"])
def test_every_decoder_over_a_cnn(decoder):
    model = build(decoder=decoder)
    assert model(pixels(64, 64)).shape == (1, 21, 64, 64)
    assert model(pixels(50, 70)).shape == (1, 21, 50, 70)
    assert 0 < parameters(model.encoder) < parameters(model)


class DeepestMapDecoder(torch.nn.Module):
    """As a decoder that somebody adds to _own_decoder: without a pixel classifier and without skip connections."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.classify = torch.nn.Conv2d(channels, 21, 1)

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        return self.classify(maps[-1])


@torch.no_grad()
def test_an_added_decoder_is_not_probed_and_has_one_parameter_count(monkeypatch):
    monkeypatch.setattr(segmenter, "_own_decoder", lambda config, encoder: DeepestMapDecoder(encoder.channels[-1]))
    model = build(decoder="linear")
    assert model(pixels(50, 70)).shape == (1, 21, 50, 70)
    assert model.pixel_classifier is None
    assert set(model.lr_scales(0.1, probed=True).values()) == {0.1, 1.0}
    assert parameter_counts(model, ModelConfig(encoder="resnet18", decoder="linear")) == {"model": parameters(model)}


@torch.no_grad()
def test_dpt_over_a_plain_vit():
    model = build(encoder=VIT, decoder="dpt")
    assert model(pixels(96, 64)).shape == (1, 21, 96, 64)
    assert model(pixels(50, 40)).shape == (1, 21, 50, 40)  # not multiples of 16
    assert model.features(pixels(96, 64)).shape[-2:] == (6, 4)


@torch.no_grad()
@pytest.mark.parametrize("how", [{}, {"encoder": VIT, "decoder": "dpt"}])
def test_logits_and_features_in_one_pass(how):
    model, images = build(**how).eval(), pixels(64, 96)
    logits, features = model.forward_with_features(images)
    assert torch.equal(logits, model(images))
    assert torch.equal(features, model.features(images))
    assert not model.encoder._forward_hooks


@torch.no_grad()
@pytest.mark.parametrize("encoder", ["vit_small_patch8_224", "vit_small_patch32_224"])
def test_dpt_over_patches_of_another_size(encoder):
    assert build(encoder=encoder, decoder="dpt")(pixels(72, 40)).shape == (1, 21, 72, 40)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"encoder": VIT},
            "is a plain ViT with one stride: use --decoder linear, mlp or dpt, or an encoder with stages",
        ),
        ({"encoder": VIT, "decoder": "fpn"}, "is a plain ViT with one stride: use --decoder linear, mlp or dpt"),
        ({"decoder": "dpt"}, "dpt reads the blocks of a plain ViT, which resnet18 is not: use another --decoder"),
        (
            {"encoder": "scratch", "decoder": "fpn"},
            f"--encoder scratch works with the decoders {', '.join(OWN_DECODERS)}, not with fpn: omit --decoder",
        ),
        (
            {"encoder": "scratch", "decoder": "dpt"},
            f"--encoder scratch works with the decoders {', '.join(OWN_DECODERS)}, not with dpt",
        ),
        ({"encoder": "resnet_18"}, "timm has no model 'resnet_18', did you mean"),
        ({"encoder": "resnet_18", "decoder": "fpn"}, "timm has no model 'resnet_18'"),
        ({"widths": (8, 8)}, "needs 3 decoder widths, deepest first; got 2"),
    ],
)
def test_combinations_that_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build(**settings)
    assert "\n" not in str(caught.value)


def test_a_refusal_of_the_library_is_one_line(monkeypatch):
    def refuse(**settings):
        raise ValueError("no such thing\nat line 3")

    monkeypatch.setitem(ARCHITECTURES, "fpn", refuse)
    with pytest.raises(
        ConfigError, match=r"fpn does not work with resnet18: use another --decoder or --encoder \(no such thing\)"
    ):
        build(decoder="fpn")


@torch.no_grad()
def test_scratch():
    model = build(encoder="scratch", widths=(16, 8, 8))
    assert model(pixels(40, 64)).shape == (1, 21, 40, 64)
    assert model.normalize(torch.full((1, 3, 1, 1), 0.5)).flatten().tolist() == [0, 0, 0]


@pytest.mark.parametrize("encoder", ["scratch", "resnet18"])
def test_without_skip_there_are_fewer_parameters(encoder):
    config = {"encoder": encoder, "widths": (16, 8, 8)}
    with_skip, without = build(**config), build(**config, skip=False)
    assert parameters(without) < parameters(with_skip)
    assert parameters(without.encoder) == parameters(with_skip.encoder)


@pytest.mark.parametrize("decoder", ["unet", "mlp"])
def test_parameters_with_and_without_skips_are_those_of_such_models(decoder):
    settings = {"encoder": "tf_efficientnet_lite0", "decoder": decoder, "widths": (16, 8, 8)}
    models = {skip: ModelConfig(**settings, skip=skip) for skip in (True, False)}
    with_skips, without = (parameters(Segmenter(models[skip])) for skip in (True, False))
    expected = {"model": without, "with skips": with_skips, "without skips": without}
    assert parameter_counts(Segmenter(models[False]), models[False]) == expected


def test_parameters_of_a_decoder_with_skips_only():
    config = ModelConfig(encoder="resnet18", decoder="fpn", weights="none")
    model = Segmenter(config)
    assert parameter_counts(model, config) == {"model": parameters(model)}


def test_a_weights_file_that_is_missing_is_an_error():
    with pytest.raises(DataError, match="is missing"):
        Segmenter(ModelConfig(encoder="resnet18", weights="/no/such/file.pth"))


@pytest.mark.parametrize("decoder", ["unet", "fpn"])
def test_the_packaged_weights_reach_the_encoder(decoder):
    model = Segmenter(ModelConfig(encoder="tf_efficientnet_lite0", decoder=decoder, freeze_bn=False))
    backbone = model.encoder.backbone if decoder == "unet" else model.encoder.model
    packaged = packaged_tensors("tf_efficientnet_lite0")
    assert all(torch.equal(tensor, packaged[name]) for name, tensor in backbone.state_dict().items())


def test_gradients_reach_the_pixels(unet):
    images = pixels(40, 40).requires_grad_()
    unet(images).square().mean().backward()
    assert images.grad.isfinite().all()
    assert (images.grad != 0).any()
