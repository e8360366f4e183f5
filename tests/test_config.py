"""Settings: defaults, TOML file and flags; every error is one line."""

from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path

import pytest
import tomli
import tomli_w

from vocctl.config import (
    ClsDataConfig,
    ClsLossConfig,
    ClsModelConfig,
    ClsOptimConfig,
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    ThresholdConfig,
    TrainAdvConfig,
    TrainClsConfig,
    TrainConfig,
    TrainSegConfig,
    as_tables,
    did_you_mean,
    from_tables,
    given,
    read_toml,
)
from vocctl.config.training import ProbeOptimConfig
from vocctl.errors import ConfigError, DataError

NON_DEFAULT_CONFIG = TrainSegConfig(
    data=DataConfig(path="elsewhere", size=64, augment="strong"),
    model=ModelConfig(encoder="resnet18", decoder="unet", skip=False, widths=(64, 32, 16)),
    loss=LossConfig(loss="ce", class_weights=tuple(float(n) for n in range(21))),
    optim=ProbeOptimConfig(lr=0.5, ema=0.0, probe=False),
    train=TrainConfig(minutes=1.5, seed=7),
)


def test_a_field_name_occurs_once_over_all_sections():
    config = TrainSegConfig()
    names = [f.name for section in fields(config) for f in fields(getattr(config, section.name))]
    assert len(names) == len(set(names)) > 25


def test_given_assigns_each_flag_to_its_section_and_skips_none():
    config = given(TrainSegConfig(), lr=0.5, seed=3, size=64, skip=None, epochs=None)
    assert (config.optim.lr, config.train.seed, config.data.size) == (0.5, 3, 64)
    default = TrainSegConfig()
    assert config == replace(
        default,
        optim=replace(default.optim, lr=0.5),
        train=replace(default.train, seed=3),
        data=replace(default.data, size=64),
    )


def test_given_accepts_false_and_zero():
    config = given(TrainSegConfig(), skip=False, clip_norm=0.0)
    assert config.model.skip is False
    assert config.optim.clip_norm == 0.0


def test_given_validates_the_result():
    with pytest.raises(ConfigError, match="--batch is 1 or more, got 0"):
        given(TrainSegConfig(), batch=0)


def test_given_validates_two_flags_of_a_section_together():
    with pytest.raises(ConfigError, match="--no-skip works only with --decoder unet, linear or mlp: fpn"):
        given(TrainSegConfig(), decoder="fpn", skip=False)


def test_a_config_is_frozen():
    with pytest.raises(FrozenInstanceError):
        TrainConfig().epochs = 3  # type: ignore[misc]


def test_config_written_to_toml_is_read_back():
    text = tomli_w.dumps(as_tables(NON_DEFAULT_CONFIG))
    assert from_tables(TrainSegConfig(), tomli.loads(text), "here") == NON_DEFAULT_CONFIG
    assert (
        from_tables(NON_DEFAULT_CONFIG, tomli.loads(tomli_w.dumps(as_tables(TrainSegConfig()))), "here")
        == TrainSegConfig()
    )


def test_as_tables_contains_only_plain_values():
    tables = as_tables(NON_DEFAULT_CONFIG)
    assert tables["model"]["widths"] == [64, 32, 16]
    assert {type(value) for table in tables.values() for value in table.values()} <= {str, int, float, bool, list}


def test_tables_override_the_default():
    config = from_tables(NON_DEFAULT_CONFIG, {"optim": {"lr": 1}, "model": {"widths": [8, 4]}}, "here")
    assert config.optim == ProbeOptimConfig(lr=1.0, ema=0.0, probe=False)
    assert isinstance(config.optim.lr, float)  # an int is converted to a float
    assert config.model.widths == (8, 4)
    assert config.data == NON_DEFAULT_CONFIG.data


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"optm": {}}, "r.toml: unknown key 'optm', did you mean optim?"),
        ({"train": {"epoch": 3}}, r"r.toml \[train\]: unknown key 'epoch', did you mean epochs?"),
        ({"train": {"zzzz": 3}}, r"r.toml \[train\]: unknown key 'zzzz'$"),
        ({"train": 3}, r"r.toml: \[train\] must be a table, got 3"),
        ({"train": {"epochs": 3.0}}, r"r.toml \[train\]: epochs must be an int, got 3.0"),
        ({"train": {"epochs": True}}, r"epochs must be an int, got True"),
        ({"optim": {"lr": "fast"}}, "lr must be a float, got 'fast'"),
        ({"optim": {"lr": True}}, "lr must be a float, got True"),
        ({"model": {"skip": 1}}, "skip must be a bool, got 1"),
        ({"model": {"widths": 64}}, "widths must be a list of int, got 64"),
        ({"model": {"widths": [64, "x"]}}, "widths must be a list of int, got the item 'x'"),
        ({"data": {"path": 3}}, "path must be a str, got 3"),
        ({"data": {"size": 100}}, "--size is a multiple of 32 pixels, got 100"),
        ({"optim": {"lr": float("nan")}}, "--lr is above 0, got nan"),
    ],
)
def test_invalid_tables_are_errors(tables, message):
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")) as caught:
        from_tables(TrainSegConfig(), tables, "r.toml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        (DataConfig, {"size": 40}, "--size is a multiple of 32"),
        (DataConfig, {"size": -32}, "--size is a multiple of 32"),
        (DataConfig, {"size": 33}, "size"),
        (DataConfig, {"augment": "lihgt"}, "did you mean light"),
        (DataConfig, {"workers": -2}, "workers"),
        (ModelConfig, {"decoder": "u-net"}, "did you mean unet"),
        (ModelConfig, {"widths": ()}, "widths"),
        (ModelConfig, {"widths": (64, 0)}, "widths"),
        (ModelConfig, {"decoder": "fpn", "skip": False}, "--no-skip"),
        (OptimConfig, {"schedule": "step"}, "--schedule is one of cosine, poly, constant"),
        (OptimConfig, {"optimizer": "adam"}, "did you mean adamw"),
        (OptimConfig, {"lr": 0.0}, "lr"),
        (ClsOptimConfig, {"encoder_lr": -0.1}, "--encoder-lr"),
        (OptimConfig, {"weight_decay": -1.0}, "--weight-decay"),
        (OptimConfig, {"warmup": 1.0}, "warmup"),
        (OptimConfig, {"clip_norm": -1.0}, "--clip-norm"),
        (OptimConfig, {"accumulate": 0}, "accumulate"),
        (OptimConfig, {"ema": 1.0}, "ema"),
        (TrainConfig, {"epochs": 0}, "epochs"),
        (TrainConfig, {"minutes": -1.0}, "minutes"),
        (TrainConfig, {"batch": 0}, "batch"),
        (TrainConfig, {"eval_every": 0}, "--eval-every"),
        (TrainConfig, {"save_every": 0.0}, "--save-every"),
        (TrainConfig, {"patience": -1}, "patience"),
        (TrainConfig, {"precision": "bf61"}, "did you mean bf16"),
        (TrainSegConfig, {"train": TrainConfig(monitor="map_sklearn")}, "--monitor is one of mean_iou"),
        (TrainClsConfig, {"train": TrainConfig(monitor="mean_iou")}, "--monitor is one of map_11_point"),
        (DataConfig, {"val": 1.0}, "--val is a fraction"),
        (DataConfig, {"workers": 257}, "--workers is -1"),
        (DataConfig, {"folds": 1}, "--folds is 0"),
        (TrainClsConfig, {"data": ClsDataConfig(size=0)}, "--size 0 is for train-seg"),
        (TrainAdvConfig, {"data": DataConfig(size=0)}, "--size 0 is for train-seg"),
        (DataConfig, {"fold": 1}, "--fold 1 needs --folds"),
        (DataConfig, {"folds": 5, "fold": 5}, "--fold is in 0..4 with --folds 5, got 5"),
        (DataConfig, {"folds": 5, "val": 0.2}, "mutually exclusive"),
        (DataConfig, {"cache_dir": "a\0b"}, "--cache-dir is a folder"),
        (ClsDataConfig, {"mixup": -0.1}, r"--mixup is the alpha of a Beta distribution, 0 \(off\) or more; got -0.1"),
        (ClsDataConfig, {"cutmix": float("nan")}, "--cutmix is the alpha of a Beta distribution"),
        (ClsDataConfig, {"cutmix": float("inf")}, "--cutmix is the alpha of a Beta distribution"),
        (ClsDataConfig, {"size": 33}, "size"),
        (ClsLossConfig, {"loss": "blc"}, "did you mean bce"),
        (ClsLossConfig, {"pos_weight": "3"}, "--pos-weight is one of"),
        (ClsOptimConfig, {"layer_decay": 0.0}, "--layer-decay"),
        (ClsOptimConfig, {"freeze_epochs": -1}, "--freeze-epochs"),
        (ClsModelConfig, {"model": "scratch", "weights": "w.pth"}, "omit --weights"),
        (ThresholdConfig, {"thresholds": "globl"}, "did you mean global"),
        (TrainConfig, {"seed": -1}, "seed"),
        (TrainConfig, {"seed": 2**31}, "seed"),
        (LossConfig, {"loss": "dise"}, "did you mean dice"),
        (LossConfig, {"loss_stride": 0}, "--loss-stride"),
        (LossConfig, {"loss_stride": 9}, "--loss-stride"),
        (LossConfig, {"loss": "ce", "class_weights": (1.0,) * 20}, "--class-weights are 21 numbers.* got 20"),
        (LossConfig, {"loss": "ce", "class_weights": (-1.0, *(1.0,) * 20)}, "--class-weights"),
        (LossConfig, {"loss": "dice", "class_weights": (1.0,) * 21}, "dice does not use them"),
    ],
)
def test_invalid_values_are_errors(section, values, message):
    with pytest.raises(ConfigError, match=message) as caught:
        section(**values)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (DataConfig, {"size": 32, "workers": -1}),
        (ClsOptimConfig, {"warmup": 0.0, "ema": 0.0, "encoder_lr": 0.0, "clip_norm": 0.0, "weight_decay": 0.0}),
        (TrainConfig, {"epochs": 1, "batch": 1, "seed": 2**31 - 1}),
        (LossConfig, {"loss": "focal", "loss_stride": 8, "class_weights": (0.0, *(1.0,) * 20)}),
    ],
)
def test_boundary_values_are_accepted(section, values):
    assert {name: getattr(section(**values), name) for name in values} == values


def test_read_toml(tmp_path: Path):
    file = tmp_path / "recipe.toml"
    file.write_text('[data]\npath = "there"\n[train]\nbatch = 2\n')
    config = read_toml(TrainSegConfig(), file)
    default = TrainSegConfig()
    assert config == replace(default, data=replace(default.data, path="there"), train=TrainConfig(batch=2))


def test_read_toml_of_a_missing_or_invalid_file_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match=r"none\.toml is missing"):
        read_toml(TrainSegConfig(), tmp_path / "none.toml")
    invalid = tmp_path / "invalid.toml"
    for content in (b"[data\npath = 3", b"path = \xff\xfe"):
        invalid.write_bytes(content)
        with pytest.raises(ConfigError, match=r"invalid\.toml is not TOML") as caught:
            read_toml(TrainSegConfig(), invalid)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", ["9" * 400, "0x" + "f" * 9000, "9" * 5000], ids=["long", "hex", "longest"])
def test_read_toml_of_a_number_beyond_64_bits_is_an_error(tmp_path: Path, number: str):
    for line in (f"[optim]\nlr = {number}\n", f"[train]\nepochs = {number}\n"):
        (tmp_path / "recipe.toml").write_text(line)
        with pytest.raises(ConfigError, match=r"recipe\.toml.*(64 bits|not TOML)"):
            read_toml(TrainSegConfig(), tmp_path / "recipe.toml")


def test_read_toml_names_the_file_of_an_unknown_key(tmp_path: Path):
    file = tmp_path / "recipe.toml"
    file.write_text("[optim]\nlearning_rate = 3\n")
    with pytest.raises(ConfigError, match=r"recipe\.toml \[optim\]: unknown key 'learning_rate'"):
        read_toml(TrainSegConfig(), file)


def test_did_you_mean():
    assert did_you_mean("epoch", ("epochs", "batch")) == ", did you mean epochs?"
    assert did_you_mean("qqqq", ("epochs", "batch")) == ""
