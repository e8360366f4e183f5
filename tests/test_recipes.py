"""Recipes: each is read for each command, laptop is the defaults, and settings override them in their order."""

import pytest

from run_comparison import interrupt_after_epoch, read_metrics
from vocctl.cli.app import main
from vocctl.config import TrainClsConfig, TrainSegConfig, given
from vocctl.config.recipes import RECIPES, recipe_about, recipe_config
from vocctl.errors import Interrupted
from vocctl.models.classifier import Classifier
from vocctl.models.segmenter import Segmenter
from vocctl.tasks.evaluate_seg import evaluate
from vocctl.tasks.export import export
from vocctl.tasks.train_seg import resume, run

DEFAULTS = {"train-seg": TrainSegConfig(), "train-cls": TrainClsConfig()}


def test_laptop_is_the_defaults():
    assert {command: recipe_config("laptop", command, default) for command, default in DEFAULTS.items()} == DEFAULTS


def test_every_recipe_names_its_machine():
    assert all(recipe_about(name).machine for name in RECIPES)


def test_settings_of_a_recipe():
    seg = recipe_config("best", "train-seg", TrainSegConfig())
    assert (seg.model.encoder, seg.model.decoder, seg.data.size) == ("vit_large_patch16_dinov3.lvd1689m", "linear", 512)
    assert recipe_config("gpu", "train-seg", TrainSegConfig()).train.precision == "bf16"
    assert recipe_config("best", "train-cls", TrainClsConfig()).loss.loss == "asl"


@pytest.mark.parametrize("name", RECIPES)
def test_models_of_every_recipe_can_be_built(name):
    """On the meta device: the largest has 300 million parameters."""
    import torch

    seg = recipe_config(name, "train-seg", TrainSegConfig())
    cls = recipe_config(name, "train-cls", TrainClsConfig())
    with torch.device("meta"):
        segmenter = Segmenter(seg.model, load_pretrained=False).eval()
        assert segmenter(torch.empty(1, 3, 96, 64)).shape == (1, 21, 96, 64)
        classifier = Classifier(cls.model, cls.data.size, load_pretrained=False).eval()
        assert classifier(torch.empty(1, 3, 64, 64)).shape == (1, 20)


def test_the_settings_of_best_train_resume_score_and_export(tiny, tmp_path):
    """With a smaller model of the same family, and random weights."""
    small = {
        "encoder": "vit_small_patch16_dinov3",
        "weights": "none",
        "size": 32,
        "batch": 1,
        "epochs": 2,
    }
    config = given(recipe_config("best", "train-seg", TrainSegConfig()), path=str(tiny), precision="fp32", **small)
    with pytest.raises(Interrupted):
        run(config, tmp_path / "run", reporter=interrupt_after_epoch(1))
    resume(str(tmp_path / "run"))
    assert [record["step"] for record in read_metrics(tmp_path / "run")] == [2, 4]  # 8 images, 4 in a step
    assert evaluate(str(tmp_path / "run")).info.num_images == 4
    assert export(str(tmp_path / "run"), out=tmp_path / "run.onnx").num_images == 4  # it compares them


def test_flags_override_a_config_file_which_overrides_a_recipe(tiny, tmp_path, capsys):
    (tmp_path / "config.toml").write_text('[model]\nencoder = "scratch"\n[data]\nsize = 64\n')
    arguments = ["--recipe", "gpu", "--config", str(tmp_path / "config.toml"), "--data", str(tiny), "--size", "32"]
    out = tmp_path / "run"
    small = ["--precision", "fp32", "--epochs", "1", "--batch", "8", "--device", "cpu"]
    assert main(["train-seg", *arguments, *small, "--out", str(out), "--quiet"]) == 0
    text = (out / "config.toml").read_text()
    assert 'encoder = "scratch"' in text  # the file's
    assert "size = 32" in text  # the flag's
    assert 'augment = "affine"' in text  # the recipe's


def test_the_command_lists_all_recipes(capsys):
    assert main(["recipes"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in RECIPES)


def test_an_unknown_recipe_is_one_line(capsys):
    assert main(["train-seg", "--recipe", "laptops"]) == 2
    assert "--recipe is one of laptop, t4, gpu, best; got 'laptops', did you mean laptop?" in capsys.readouterr().err


def test_a_resumed_run_takes_no_recipe(capsys):
    assert main(["train-cls", "--resume", "first", "--recipe", "t4"]) == 2
    assert "--resume uses the run's saved settings" in capsys.readouterr().err
