"""Training the adversary on drawn images: it fools within its budget, its targets stay the same bytes, and it resumes."""

import hashlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from vocctl.cli.app import main
from vocctl.config import AttackConfig, TrainAdvConfig, TrainClsConfig, TrainSegConfig, given
from vocctl.errors import ConfigError, DataError, Terminated
from vocctl.robustness.outcomes import MaskPredictions
from vocctl.robustness.victims import SegmenterVictim
from vocctl.tasks.attack import attack
from vocctl.tasks.train_adv import check_batch_size, open_victims, resume, run
from vocctl.tasks.train_cls import run as train_cls
from vocctl.tasks.train_seg import run as train_seg
from vocctl.training.launch import training_setup
from vocctl.training.reporter import SilentReporter


def reporter_with(**receivers: Callable[..., object]) -> SilentReporter:
    """A reporter that calls receivers["note"], ["count"], ["progress"] or ["epoch"]."""
    reporter = SilentReporter()
    vars(reporter).update(receivers)
    return reporter


def config(runs: dict[str, Path], *names: str, **flags: object) -> TrainAdvConfig:
    small = {
        "size": 32, "batch": 4, "epochs": 30, "eval_every": 30, "precision": "fp32", "generator": "unet", "width": 8,
        "depth": 1, "lr": 0.001,
        "ema": 0.5, "eps": "48/255", "augment": "none",
    }  # fmt: skip
    targets = tuple(str(runs[name]) for name in names)
    return given(TrainAdvConfig(), path=str(runs["data"]), target=targets, **(small | flags))


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "best.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("flags", "left"),
    [
        ({}, 0.7),
        ({"generator": "resnet"}, 0.7),
        ({"generator": "pretrained"}, 0.7),
        ({"attack_loss": "ce", "feature_weight": 0.5}, 0.7),
        ({"universal": True, "epochs": 90, "eval_every": 90}, 0.97),
    ],
)
def test_both_targets_are_fooled_by_one_image(
    runs: dict[str, Path], tmp_path: Path, flags: dict[str, object], left: float
) -> None:
    """left: at most so much of the clean score; one perturbation for all is weaker."""
    before = digest(runs["cls"]), digest(runs["seg"])
    result = run(config(runs, "cls", "seg", **flags), tmp_path / "adv")
    assert (digest(runs["cls"]), digest(runs["seg"])) == before
    assert result.monitor == "val_loss"
    assert result.best == pytest.approx(1 - result.scores["drop"])
    attacked = attack([str(runs["seg"])], AttackConfig(attack=(f"adv:{tmp_path / 'adv'}", "noise"), eps=("48/255",)))
    clean, adv, noise = attacked.rows[:3]
    assert adv.scores["mean_iou"] < left * clean.scores["mean_iou"]
    assert adv.scores["mean_iou"] < noise.scores["mean_iou"]
    assert 255 * adv.distortion["linf_max"] <= 48 + 1e-3


def test_l2_budget_and_soft_penalty(runs: dict[str, Path], tmp_path: Path) -> None:
    run(config(runs, "seg", norm="l2", eps="4", reference="prediction"), tmp_path / "l2")
    hit = attack([str(runs["seg"])], AttackConfig(attack=(f"adv:{tmp_path / 'l2'}",), eps=("4",), norm="l2"))
    assert hit.rows[1].distortion["l2_max"] <= 4 + 1e-4
    with pytest.raises(ConfigError, match="trained for l2"):
        attack([str(runs["seg"])], AttackConfig(attack=(f"adv:{tmp_path / 'l2'}",)))
    visible = []
    for weight in (0.01, 1.0):
        folder = tmp_path / f"soft-{weight}"
        trained = run(config(runs, "seg", penalty="l2", lam=weight), folder)
        assert trained.best > 1 - trained.scores["drop"]  # the penalty counts
        soft = attack([str(runs["seg"])], AttackConfig(attack=(f"adv:{folder}",), eps=("1/255", "2/255")))
        (row,) = soft.rows[1:]
        assert row.eps == "unbounded"
        visible.append(row.distortion["l2_mean"])
    assert visible[1] < 0.5 * visible[0]  # a heavier penalty, a smaller change


def test_stopped_and_resumed_is_the_same_bit_for_bit(runs: dict[str, Path], tmp_path: Path) -> None:
    few = config(runs, "seg", epochs=3, eval_every=1, augment="light")
    run(few, tmp_path / "alone")
    stop = reporter_with(epoch=lambda record: os.kill(os.getpid(), signal.SIGINT) if record["epoch"] == 1 else None)
    with pytest.raises(Exception, match="resume with"):
        run(few, tmp_path / "stopped", reporter=stop)
    resume(str(tmp_path / "stopped"))
    one, other = (load_file(tmp_path / name / "final.safetensors") for name in ("alone", "stopped"))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_the_run_folder_is_enough_without_the_weights_that_its_encoder_began_with(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    weights = tmp_path / "resnet18.safetensors"
    save_file(timm.create_model("resnet18").state_dict(), weights)
    wanted = config(
        runs, "seg", generator="pretrained", encoder="resnet18", weights=str(weights), epochs=2, eval_every=1
    )
    stop = reporter_with(epoch=lambda record: os.kill(os.getpid(), signal.SIGINT) if record["epoch"] == 1 else None)
    with pytest.raises(Exception, match="resume with"):
        run(wanted, tmp_path / "adv", reporter=stop)
    weights.unlink()
    resume(str(tmp_path / "adv"))
    found = attack([str(runs["seg"])], AttackConfig(attack=(f"adv:{tmp_path / 'adv'}",), eps=("48/255",), images=2))
    assert found.rows[1].distortion["linf_max"] > 0


def test_signal_during_validation_stops_the_run(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = SegmenterVictim.predict

    def interrupted_predict(victim: SegmenterVictim, *arguments: Any) -> MaskPredictions:
        os.kill(os.getpid(), signal.SIGTERM)
        return predict(victim, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(SegmenterVictim, "predict", interrupted_predict)
        with pytest.raises(Terminated, match="all is saved: resume with --resume"):
            run(config(runs, "seg", epochs=1), tmp_path / "adv")
    assert abs(resume(str(tmp_path / "adv")).scores["drop"]) < 1


def test_a_goal_is_trained_for(runs: dict[str, Path], tmp_path: Path) -> None:
    result = run(config(runs, "seg", goal="target:bicycle", attack_loss="ce", epochs=60), tmp_path / "adv")
    assert result.best == pytest.approx(1 - result.scores["target_success_rate"])
    wanted = AttackConfig(attack=(f"adv:{tmp_path / 'adv'}",), eps=("48/255",), goal="target:bicycle")
    clean = attack([str(runs["seg"])], AttackConfig(attack=("noise",), eps=("1/255",), goal="target:bicycle"))
    assert (
        attack([str(runs["seg"])], wanted).rows[1].rates["target_success_rate"]
        > 2 * clean.rows[1].rates["target_success_rate"]
    )


def test_refusals(runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="--target RUN"):
        run(config(runs), tmp_path / "adv")
    with pytest.raises(DataError, match="no run nobody"):
        run(given(config(runs), target=("nobody",)), tmp_path / "adv")
    with pytest.raises(ConfigError, match="2 targets cannot share a batch of 1 images: raise --batch"):
        run(config(runs, "seg", "cls", batch=1), tmp_path / "adv")
    with pytest.raises(ConfigError, match="margin is for classifiers"):
        run(config(runs, "seg", "cls", attack_loss="margin"), tmp_path / "adv")
    with pytest.raises(ConfigError, match="margin cannot be combined with --goal"):
        config(runs, "cls", attack_loss="margin", goal="hide:person")
    assert main(["train-adv", "--target", str(runs["seg"]), "--eps", "8/0"]) == 2
    assert "8/255, 8px or 0.03" in capsys.readouterr().err
    assert not (tmp_path / "adv").exists()


def test_a_batch_of_all_images_falls_into_equal_parts(runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = config(runs, "seg", batch=6)
    targets = open_victims(wanted, training_setup(wanted.train))
    monkeypatch.setenv("WORLD_SIZE", "3")
    check_batch_size(wanted, 100, len(targets))
    check_batch_size(wanted, 3, len(targets))
    with pytest.raises(
        ConfigError, match="all 5 images make one batch, which 3 processes cannot split evenly: lower --batch"
    ):
        check_batch_size(wanted, 5, len(targets))


def test_adversarial_training_hardens_and_resumes(tiny_set: Path, tmp_path: Path) -> None:
    small = {
        "size": 32,
        "size_from": 0,
        "precision": "fp32",
        "batch": 4,
        "epochs": 30,
        "lr": 0.003,
        "encoder_lr": 1.0,
        "ema": 0.5,
        "eval_every": 30,
    }
    hard = {"adv_train": "pgd-3", "adv_eps": "32/255", "adv_fraction": 0.5}
    left = {}
    for name, flags in (("plain", {}), ("hard", hard)):
        folder = tmp_path / name
        train_seg(given(TrainSegConfig(), path=str(tiny_set), encoder="scratch", **(small | flags)), folder)
        left[name] = attack([str(folder)], AttackConfig(attack=("pgd-20",), eps=("32/255",))).rows[1].scores["mean_iou"]
    assert left["hard"] > left["plain"] + 0.05
    few = given(
        TrainClsConfig(), path=str(tiny_set), model="scratch", **(small | hard | {"epochs": 2, "eval_every": 1})
    )
    train_cls(few, tmp_path / "one")
    train_cls(few, tmp_path / "two")
    one, two = (load_file(tmp_path / name / "final.safetensors") for name in ("one", "two"))
    assert all(torch.equal(one[key], two[key]) for key in one)
    for train, start in ((train_cls, few), (train_seg, given(TrainSegConfig(), path=str(tiny_set)))):
        for adv, said in (("square-9", "adversarial training supports"), ("pdg-3", "did you mean pgd")):
            with pytest.raises(ConfigError, match=said):
                train(given(start, adv_train=adv), tmp_path / "three")
    assert not (tmp_path / "three").exists()  # its name is still free
