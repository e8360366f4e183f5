"""`vocctl models`: a table of timm's models that needs no timm."""

import json

import pytest
import timm
import torch

from vocctl.cli.app import main
from vocctl.config.model_table import find_models, known_models, recommended_models
from vocctl.config.packaged import PACKAGED
from vocctl.models.encoder import TimmEncoder


def test_values_of_known_models():
    """From the models' papers and cards: ResNet-50 has 25.6 M parameters, ConvNeXt-T 28.6 M, ViT-S/16 22.1 M."""
    resnet, convnext, vit = (find_models(name)[0] for name in ("resnet50", "convnext_tiny", "vit_small_patch16_224"))
    assert round(resnet.parameters / 1e6, 1) == 25.6
    assert round(convnext.parameters / 1e6, 1) == 28.6
    assert round(vit.parameters / 1e6, 1) == 22.1
    assert (resnet.strides, convnext.strides, vit.strides) == ((2, 4, 8, 16, 32), (4, 8, 16, 32), (16,))
    assert (resnet.input_size, resnet.weights, resnet.tags[0]) == (224, "hub", "a1_in1k")


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "tf_efficientnet_lite2", "tf_efficientnet_lite0"])
def test_the_table_agrees_with_timm(name):
    (info,) = find_models(name)
    cfg = timm.get_pretrained_cfg(name)
    with torch.device("meta"):
        model = timm.create_model(name)
    assert info.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert info.input_size == cfg.input_size[-1]
    assert info.is_encoder
    assert set(TimmEncoder(name, "none").strides) <= set(info.strides)
    assert (info.weights == "packaged") == (name in PACKAGED)


def test_the_table_has_every_model_once():
    names = [model.name for model in known_models()]
    assert len(set(names)) == len(names) > 1000
    assert names[0] == "scratch"


def test_a_fixed_input_size_and_missing_feature_maps_are_for_classifiers_only():
    assert not find_models("swin_tiny_patch4_window7_224")[0].is_encoder
    assert find_models("swin_tiny_patch4_window7_224")[0].strides == (4, 8, 16, 32)
    assert not find_models("mixer_b16_224")[0].is_encoder


def test_patterns():
    names = {model.name for model in find_models("resnet1?")}
    assert "resnet18" in names
    assert "resnet14t" not in names  # ? stands for one character
    assert all(model.name.startswith("convnext") for model in find_models("convnext*"))
    assert [model.name for model in find_models("ResNet18.a1_in1k")] == ["resnet18"]
    assert len(find_models("dinov3")) > 3  # no such name: those that contain it


def test_no_pattern_lists_packaged_models_first(capsys):
    names = [model.name for model in recommended_models()]
    assert set(names[: len(PACKAGED)]) == set(PACKAGED)
    assert {"scratch", "resnet50"} <= set(names)
    assert main(["models"]) == 0
    printed = capsys.readouterr().out
    assert [name for name in names if name not in printed] == []
    assert "more: vocctl models" in printed


def test_the_number_of_matches_not_shown_is_printed(capsys):
    assert main(["models", "*"]) == 0
    assert (
        f"{len(known_models()) - 40} more match: use a narrower pattern, or --json for all" in capsys.readouterr().out
    )
    assert main(["models", "*", "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(known_models())
    assert json.loads(lines[0])["name"] == "scratch"


def test_one_match_lists_its_weights(capsys):
    assert main(["models", "convnext_tiny"]) == 0
    assert "convnext_tiny.fb_in1k" in capsys.readouterr().out


def test_no_match_is_one_line_with_close_names(capsys):
    assert main(["models", "resnt50"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: no model matches 'resnt50': close names are ")
    assert "resnet50" in error
    assert len(error.splitlines()) == 1
