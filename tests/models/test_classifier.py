"""Classifiers: input sizes, pretrained weights, learning rates of layers, a frozen backbone."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from vocctl.config import ClsModelConfig
from vocctl.errors import ConfigError, DataError
from vocctl.models.classifier import Classifier

MISSING_EFFICIENTVIM = {"condition": not timm.is_model("efficientvim_m1"), "reason": "timm 1.0.28 does not have it yet"}


def classifier(name: str, size: int = 64, weights: str = "none") -> Classifier:
    return Classifier(ClsModelConfig(model=name, weights=weights), size)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("scratch", (64, 96)),
        ("tf_efficientnet_lite0", (64, 96)),
        ("resnet18", (64, 64)),
        ("convnext_atto", (64, 96)),
        ("vit_tiny_patch16_224", (64, 96)),
        ("vit_tiny_patch16_224", (70, 50)),  # not multiples of its patch size
        ("vit_small_patch14_dinov2", (64, 96)),
        ("swin_tiny_patch4_window7_224", (64, 96)),  # built for 64 px
        ("mixer_s32_224", (64, 96)),  # has a fixed input size
        ("crossvit_tiny_240", (64, 96)),  # this one and the next ignore dynamic_img_size
        ("efficientformer_l1", (64, 96)),
        ("pvt_v2_b0", (64, 96)),  # it and those below call their first convolutions patch_embed
        ("tiny_vit_5m_224", (64, 96)),
        ("fasternet_t0", (64, 96)),
        ("shvit_s1", (64, 96)),
        pytest.param("efficientvim_m1", (64, 96), marks=pytest.mark.skipif(**MISSING_EFFICIENTVIM)),
    ],
)
def test_any_model_takes_images_of_any_size(name, shape):
    model, images = classifier(name).eval(), torch.rand(2, 3, *shape)
    with torch.inference_mode():
        logits = model(images)
        same_logits, features = model.forward_with_features(images)
    assert logits.shape == (2, 20)
    assert logits.dtype == torch.float32
    assert torch.equal(same_logits, logits)
    assert len(features) == 2
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("name", "patch"), [("vit_small_patch14_dinov2", 14), ("pvt_v2_b0", 1), ("convnext_atto", 1), ("scratch", 1)]
)
def test_only_a_vit_gets_multiples_of_its_patch_size(name, patch):
    input_sizes = []
    model = classifier(name).eval()
    model.backbone.register_forward_pre_hook(lambda backbone, inputs: input_sizes.append(tuple(inputs[0].shape[-2:])))
    with torch.inference_mode():
        model(torch.rand(1, 3, 64, 96))
    assert input_sizes == [tuple(-(-side // patch) * patch for side in (64, 96))]


def test_the_default_has_imagenet_weights():
    model = classifier("tf_efficientnet_lite0", weights="auto")
    again = classifier("tf_efficientnet_lite0", weights="auto")
    assert torch.equal(model.backbone.conv_stem.weight, again.backbone.conv_stem.weight)
    assert not torch.equal(
        model.backbone.conv_stem.weight, classifier("tf_efficientnet_lite0").backbone.conv_stem.weight
    )
    assert not torch.equal(
        model.backbone.classifier.weight, again.backbone.classifier.weight
    )  # the head is newly initialized


def test_a_file_with_another_head_gives_the_backbone_and_a_run_gives_the_head_too(tmp_path):
    source = timm.create_model("resnet18", num_classes=7)
    save_file(source.state_dict(), tmp_path / "seven.safetensors")
    model = Classifier(
        ClsModelConfig(model="resnet18", weights=str(tmp_path / "seven.safetensors"), freeze_bn=False), 64
    )
    assert torch.equal(model.backbone.conv1.weight, source.conv1.weight)
    assert model.backbone.fc.weight.shape == (20, 512)
    save_file(model.state_dict(), tmp_path / "ours.safetensors")
    again = classifier("resnet18", weights=str(tmp_path / "ours.safetensors"))
    assert torch.equal(again.backbone.fc.weight, model.backbone.fc.weight)


def test_a_file_of_another_model_is_refused(tmp_path):
    save_file(timm.create_model("resnet18").state_dict(), tmp_path / "r18.safetensors")
    with pytest.raises(DataError, match="it belongs to another model"):
        classifier("resnet34", weights=str(tmp_path / "r18.safetensors"))


def test_the_error_of_a_misspelled_model_names_the_closest():
    with pytest.raises(ConfigError, match="did you mean resnet18"):
        classifier("resnet_18")


def test_scratch_with_weights_is_refused():
    with pytest.raises(ConfigError, match="uses no pretrained weights"):
        ClsModelConfig(model="scratch", weights="x.safetensors")


@pytest.mark.parametrize("name", ["scratch", "resnet18", "vit_tiny_patch16_224", "convnext_atto"])
def test_learning_rates_decrease_from_the_head_down(name):
    model = classifier(name)
    scales = model.lr_scales(0.5, 0.8)
    assert scales.keys() == dict(model.named_parameters()).keys()
    distinct = sorted(set(scales.values()), reverse=True)
    assert distinct[0] == 1  # the head
    assert distinct[1] <= 0.5
    assert len(distinct) >= 4
    first = next(iter(dict(model.named_parameters())))
    assert scales[first] == distinct[-1]
    assert set(model.lr_scales(0.5, 1.0).values()) == {1, 0.5}
    assert set(model.lr_scales(0.5, 1.0, head_lr_scale=0.5).values()) == {0.5}


def test_with_a_frozen_backbone_only_the_head_changes():
    model = classifier("resnet18").train()
    model.freeze_backbone(True)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.rand(4, 3, 64, 64)).sum().backward()
    optimizer.step()
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"backbone.fc.weight", "backbone.fc.bias"}
    model.train()
    model.freeze_backbone(False)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model.backbone.layer1[0].bn1.training


def test_pixels_are_normalized_inside():
    model = classifier("scratch").eval()
    images = torch.rand(2, 3, 64, 64)
    assert torch.allclose(model(images), model.backbone((images - 0.5) / 0.25), atol=1e-6)
