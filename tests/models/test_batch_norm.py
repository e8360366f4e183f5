"""Folding batch norms into convolutions: the same function, which norms are folded, and which stay."""

import pytest
import timm
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from vocctl.config import ClsModelConfig, ModelConfig
from vocctl.models import classifier
from vocctl.models.batch_norm import fold_batch_norms, freeze_statistics
from vocctl.models.classifier import Classifier
from vocctl.models.encoder import TimmEncoder
from vocctl.models.segmenter import Segmenter

LITE0 = "tf_efficientnet_lite0"


def norms(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


def as_if_trained(model: nn.Module) -> nn.Module:
    """Give each batch norm statistics and weights of its own: new ones are 0 and 1, and folding them changes nothing."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for norm in norms(model):
            norm.running_mean.copy_(0.1 * torch.randn(norm.num_features, generator=generator))
            norm.running_var.copy_(0.5 + torch.rand(norm.num_features, generator=generator))
            norm.weight.copy_(0.5 + torch.rand(norm.num_features, generator=generator))
            norm.bias.copy_(0.1 * torch.randn(norm.num_features, generator=generator))
    return model.eval()


def pixels() -> Tensor:
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in another order differ more than folding does
    yield
    torch.set_num_threads(threads)


@torch.no_grad()
def test_folded_weights_by_hand():
    model = nn.Sequential(nn.Conv2d(3, 1, 1, bias=False), nn.BatchNorm2d(1, eps=0.0)).eval()
    values = {"0.weight": 2.0, "1.running_mean": 1.0, "1.running_var": 4.0, "1.weight": 3.0, "1.bias": 5.0}
    for name, value in values.items():
        model.state_dict()[name].fill_(value)
    fold_batch_norms(model)
    # 3 (2 x - 1) / sqrt(4) + 5 = 3 x + 3.5
    assert torch.allclose(model[0].weight, torch.tensor(3.0))
    assert torch.allclose(model[0].bias, torch.tensor(3.5))
    assert isinstance(model[1], nn.Identity)
    assert model.state_dict().keys() == {"0.weight", "0.bias"}


@pytest.mark.usefixtures("_one_thread")
@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("resnet18", 20, 0),
        (LITE0, 48, 0),  # of the feature extractor
        ("mobilenetv3_small_050", 34, 0),
        ("resnetv2_18", 16, 8),  # half of its norms stand before the convolutions
        ("repvgg_a0", 61, 17),  # a norm is a branch of its own in blocks that keep the shape
        ("convnext_atto", 0, 0),
    ],
)
@torch.no_grad()
def test_networks_compute_the_same_with_fewer_norms(name, before, after):
    encoder = as_if_trained(TimmEncoder(name, "none"))
    expected = encoder(pixels())
    assert len(norms(encoder)) == before
    fold_batch_norms(encoder)
    assert len(norms(encoder)) == after
    for feature, expected_feature in zip(encoder(pixels()), expected, strict=True):
        assert (feature - expected_feature).abs().max() <= 1e-4 * expected_feature.abs().max()


def test_the_activation_inside_a_norm_stays():
    model = as_if_trained(nn.Sequential(nn.Conv2d(3, 4, 3), BatchNormAct2d(4, act_layer=nn.Hardswish)))
    expected = model(pixels())
    fold_batch_norms(model)
    assert isinstance(model[1], nn.Hardswish)
    assert torch.allclose(model(pixels()), expected, atol=1e-5)


class Residual(nn.Module):
    """The output of its convolution goes to the norm and around it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        x = self.conv(images)
        return self.norm(x) + x


@pytest.mark.parametrize("trained", [True, False])
@torch.no_grad()
def test_a_convolution_whose_output_is_used_elsewhere_is_left_alone(trained):
    """With new statistics too, where folding changes no value: a run has to load into the structure that it saved."""
    model = as_if_trained(Residual()) if trained else Residual().eval()
    expected, names = model(pixels()), list(model.state_dict())
    fold_batch_norms(model)
    assert list(model.state_dict()) == names
    assert torch.allclose(model(pixels()), expected)


class Twice(nn.Module):
    """One convolution, called on the image and on half of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.norm(self.conv(images)), self.conv(images / 2)]


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1)),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.BatchNorm2d(4)),
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)),
        Twice(),
    ],
)
def test_norms_that_stay(model):
    names = list(model.eval().state_dict())
    fold_batch_norms(model)
    assert list(model.state_dict()) == names
    assert len(norms(model)) == 1


def test_a_norm_in_training_mode_stays():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    fold_batch_norms(model)
    assert len(norms(model)) == 1


@pytest.mark.parametrize("decoder", ["unet", "fpn"])
def test_random_and_pretrained_segmenters_have_the_same_tensors(decoder):
    config = ModelConfig(encoder=LITE0, decoder=decoder, widths=(8, 8, 8))
    pretrained, random = Segmenter(config), Segmenter(config, load_pretrained=False)
    random.load_state_dict(pretrained.state_dict())
    assert not norms(pretrained.encoder)


def test_a_segmenter_without_memory_has_the_same_tensors():
    config = ModelConfig(encoder="resnet18", weights="file.pth", decoder="unet", widths=(8, 8, 8))
    with torch.device("meta"):
        meta = Segmenter(config, load_pretrained=False)
    expected = {name: tensor.shape for name, tensor in Segmenter(config, load_pretrained=False).state_dict().items()}
    assert {name: tensor.shape for name, tensor in meta.state_dict().items()} == expected
    assert not norms(meta.encoder)


def test_random_and_pretrained_classifiers_have_the_same_tensors():
    config = ClsModelConfig(model=LITE0)
    pretrained, random = Classifier(config, 64), Classifier(config, 64, load_pretrained=False)
    random.load_state_dict(pretrained.state_dict())
    assert not norms(pretrained)


@pytest.mark.parametrize("name", ["vit_small_patch14_dinov2", "inception_v3"])
def test_networks_that_do_not_take_every_image_size(monkeypatch, name):
    """Patches of 14 pixels do not divide 64; inception_v3's convolutions without padding need 75 pixels."""
    monkeypatch.setattr(classifier, "load_weights", lambda *args, **options: None)
    model = Classifier(ClsModelConfig(model=name, weights="file.pth"), 128).eval()
    with torch.no_grad():
        assert model(torch.rand(1, 3, 128, 128)).shape == (1, 20)


def test_frozen_statistics_survive_train_and_those_of_the_decoder_are_trained():
    model = Segmenter(ModelConfig(encoder="resnetv2_18", decoder="unet", weights="none", widths=(8, 8, 8)))
    model.train()
    assert all(norm.training for norm in norms(model))  # random weights: nothing is frozen
    model.freezes_bn = True
    model.train()
    assert not any(norm.training for norm in norms(model.encoder))
    assert all(norm.training for norm in norms(model.backbone.decoder))


def test_without_freeze_bn_the_norms_are_kept_and_trained():
    model = Segmenter(ModelConfig(encoder=LITE0, freeze_bn=False)).train()
    assert len(norms(model.encoder)) == 48
    assert all(norm.training for norm in norms(model.encoder))
    freeze_statistics(model)
    assert not any(norm.training for norm in norms(model))


def test_folded_biases_are_trained():
    model = timm.create_model("resnet18", num_classes=3).eval()
    fold_batch_norms(model)
    assert all(parameter.requires_grad for parameter in model.parameters())
    frozen = timm.create_model("resnet18", num_classes=3).eval().requires_grad_(False)
    fold_batch_norms(frozen)
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
