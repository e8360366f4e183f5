"""Training the generator attack on drawn images: it fools its victims within its budget, never changes them, and resumes."""

import hashlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import timm
from safetensors.torch import save_file

from run_comparison import have_equal_weights, interrupt_after_epoch
from vocctl.cli.app import main
from vocctl.config import AttackConfig, TrainAdvConfig, TrainClsConfig, TrainSegConfig, given
from vocctl.errors import ConfigError, DataError, Interrupted, Terminated
from vocctl.robustness.outcomes import MaskPredictions
from vocctl.robustness.victims import SegmenterVictim
from vocctl.runs.attacks import AttackRow
from vocctl.tasks.attack import attack
from vocctl.tasks.train_adv import check_batch_size, open_victims, resume, run
from vocctl.tasks.train_cls import run as train_cls
from vocctl.tasks.train_seg import run as train_seg
from vocctl.training.launch import training_setup


def config(attackable_runs: dict[str, Path], *victims: str, **flags: object) -> TrainAdvConfig:
    """victims: keys of runs."""
    small = {
        "size": 32, "batch": 4, "epochs": 30, "eval_every": 30, "precision": "fp32", "generator": "unet", "width": 8,
        "depth": 1, "lr": 0.001, "ema": 0.5, "eps": "48/255", "augment": "none",
    }  # fmt: skip
    targets = tuple(str(attackable_runs[name]) for name in victims)
    return given(TrainAdvConfig(), path=str(attackable_runs["data"]), target=targets, **(small | flags))


def weights_hash(run: Path) -> str:
    return hashlib.sha256((run / "best.safetensors").read_bytes()).hexdigest()


def attack_segmenter(attackable_runs: dict[str, Path], generator: Path, **options: object) -> list[AttackRow]:
    """The rows of the clean images and of the trained generator."""
    return attack([str(attackable_runs["seg"])], AttackConfig(attack=(f"adv:{generator}",), **options)).rows


@pytest.mark.parametrize(
    ("flags", "max_ratio"),
    [
        ({}, 0.7),
        ({"generator": "resnet"}, 0.7),
        ({"generator": "pretrained"}, 0.7),
        ({"attack_loss": "ce", "feature_weight": 0.5}, 0.7),
        ({"universal": True, "epochs": 90, "eval_every": 90}, 0.97),  # one perturbation for all images is weaker
    ],
    ids=["unet", "resnet", "pretrained", "ce and features", "universal"],
)
def test_generator_fools_a_segmenter_and_a_classifier_within_its_budget(
    attackable_runs: dict[str, Path], tmp_path: Path, flags: dict[str, object], max_ratio: float
) -> None:
    """max_ratio: of the mean IoU under attack to the clean one."""
    hashes = weights_hash(attackable_runs["cls"]), weights_hash(attackable_runs["seg"])
    result = run(config(attackable_runs, "cls", "seg", **flags), tmp_path / "adv")
    assert (
        weights_hash(attackable_runs["cls"]),
        weights_hash(attackable_runs["seg"]),
    ) == hashes  # the victims are not trained
    assert result.monitor == "val_loss"
    assert result.best == pytest.approx(1 - result.scores["drop"])
    attacks = AttackConfig(attack=(f"adv:{tmp_path / 'adv'}", "noise"), eps=("48/255",))
    clean, adversarial, noise = attack([str(attackable_runs["seg"])], attacks).rows[:3]
    assert adversarial.scores["mean_iou"] < max_ratio * clean.scores["mean_iou"]
    assert adversarial.scores["mean_iou"] < noise.scores["mean_iou"]
    assert 255 * adversarial.distortion["linf_max"] <= 48 + 1e-3


def test_l2_budget_is_kept_and_another_norm_is_refused(attackable_runs: dict[str, Path], tmp_path: Path) -> None:
    run(config(attackable_runs, "seg", norm="l2", eps="4", reference="prediction"), tmp_path / "l2")
    rows = attack_segmenter(attackable_runs, tmp_path / "l2", eps=("4",), norm="l2")
    assert rows[1].distortion["l2_max"] <= 4 + 1e-4
    with pytest.raises(ConfigError, match="trained for l2"):
        attack_segmenter(attackable_runs, tmp_path / "l2")


def test_a_heavier_penalty_gives_smaller_perturbations(attackable_runs: dict[str, Path], tmp_path: Path) -> None:
    mean_norms = []
    for weight in (0.01, 1.0):
        folder = tmp_path / f"penalty-{weight}"
        result = run(config(attackable_runs, "seg", penalty="l2", lam=weight), folder)
        assert result.best > 1 - result.scores["drop"]  # val_loss contains the penalty
        _, row = attack_segmenter(attackable_runs, folder, eps=("1/255", "2/255"))
        assert row.eps == "unbounded"
        mean_norms.append(row.distortion["l2_mean"])
    assert mean_norms[1] < 0.5 * mean_norms[0]


def test_resumed_run_equals_uninterrupted_run(attackable_runs: dict[str, Path], tmp_path: Path) -> None:
    short = config(attackable_runs, "seg", epochs=3, eval_every=1, augment="light")
    run(short, tmp_path / "uninterrupted")
    with pytest.raises(Interrupted, match="resume with"):
        run(short, tmp_path / "resumed", reporter=interrupt_after_epoch(1))
    resume(str(tmp_path / "resumed"))
    assert have_equal_weights(tmp_path / "uninterrupted", tmp_path / "resumed")


def test_resuming_and_attacking_need_no_file_of_pretrained_weights(
    attackable_runs: dict[str, Path], tmp_path: Path
) -> None:
    weights = tmp_path / "resnet18.safetensors"
    save_file(timm.create_model("resnet18").state_dict(), weights)
    flags = {"generator": "pretrained", "encoder": "resnet18", "weights": str(weights), "epochs": 2, "eval_every": 1}
    with pytest.raises(Interrupted, match="resume with"):
        run(config(attackable_runs, "seg", **flags), tmp_path / "adv", reporter=interrupt_after_epoch(1))
    weights.unlink()
    resume(str(tmp_path / "adv"))
    rows = attack_segmenter(attackable_runs, tmp_path / "adv", eps=("48/255",), images=2)
    assert rows[1].distortion["linf_max"] > 0


def test_signal_during_validation_stops_the_run(
    attackable_runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = SegmenterVictim.predict

    def interrupted_predict(victim: SegmenterVictim, *arguments: Any) -> MaskPredictions:
        os.kill(os.getpid(), signal.SIGTERM)
        return predict(victim, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(SegmenterVictim, "predict", interrupted_predict)
        with pytest.raises(Terminated, match="all is saved: resume with --resume"):
            run(config(attackable_runs, "seg", epochs=1), tmp_path / "adv")
    assert abs(resume(str(tmp_path / "adv")).scores["drop"]) < 1


def test_generator_is_trained_for_its_goal(attackable_runs: dict[str, Path], tmp_path: Path) -> None:
    result = run(config(attackable_runs, "seg", goal="target:bicycle", attack_loss="ce", epochs=60), tmp_path / "adv")
    assert result.best == pytest.approx(1 - result.scores["target_success_rate"])
    noise = AttackConfig(attack=("noise",), eps=("1/255",), goal="target:bicycle")
    baseline = attack([str(attackable_runs["seg"])], noise).rows[1].rates["target_success_rate"]
    rows = attack_segmenter(attackable_runs, tmp_path / "adv", eps=("48/255",), goal="target:bicycle")
    assert rows[1].rates["target_success_rate"] > 2 * baseline


def test_wrong_settings_are_errors(
    attackable_runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="--target RUN"):
        run(config(attackable_runs), tmp_path / "adv")
    with pytest.raises(DataError, match="no run nobody"):
        run(given(config(attackable_runs), target=("nobody",)), tmp_path / "adv")
    with pytest.raises(ConfigError, match="2 targets cannot share a batch of 1 images: raise --batch"):
        run(config(attackable_runs, "seg", "cls", batch=1), tmp_path / "adv")
    with pytest.raises(ConfigError, match="margin is for classifiers"):
        run(config(attackable_runs, "seg", "cls", attack_loss="margin"), tmp_path / "adv")
    with pytest.raises(ConfigError, match="margin cannot be combined with --goal"):
        config(attackable_runs, "cls", attack_loss="margin", goal="hide:person")
    assert main(["train-adv", "--target", str(attackable_runs["seg"]), "--eps", "8/0"]) == 2
    assert "8/255, 8px or 0.03" in capsys.readouterr().err
    assert not (tmp_path / "adv").exists()


def test_a_batch_of_all_images_must_split_evenly_over_processes(
    attackable_runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(attackable_runs, "seg", batch=6)
    victims = open_victims(settings, training_setup(settings))
    monkeypatch.setenv("WORLD_SIZE", "3")
    check_batch_size(settings, 100, len(victims))
    check_batch_size(settings, 3, len(victims))
    with pytest.raises(ConfigError, match="all 5 images make one batch, which 3 processes cannot split evenly: lower"):
        check_batch_size(settings, 5, len(victims))


TRAINING = {"size": 32, "size_from": 0, "precision": "fp32", "batch": 4, "lr": 0.003, "ema": 0.5}
ADVERSARIAL = {"adv_train": "pgd-3", "adv_eps": "32/255", "adv_fraction": 0.5}


def test_adversarial_training_makes_a_segmenter_robust(tiny_set: Path, tmp_path: Path) -> None:
    """A large budget: the squares differ so much in color that small ones fool no segmenter."""
    scores, eps = {}, "64/255"
    for name, flags in (("plain", {}), ("robust", {"adv_train": "pgd-3", "adv_eps": eps, "adv_fraction": 1.0})):
        settings = (
            TRAINING
            | flags
            | {"encoder": "scratch", "encoder_lr": 1.0, "decoder": "linear", "epochs": 20, "eval_every": 20}
        )
        train_seg(given(TrainSegConfig(), path=str(tiny_set), **settings), tmp_path / name)
        rows = attack([str(tmp_path / name)], AttackConfig(attack=("pgd-20",), eps=(eps,))).rows
        scores[name] = rows[1].scores["mean_iou"]
    assert scores["robust"] > scores["plain"] + 0.05


def test_adversarial_training_repeats_bit_for_bit(tiny_set: Path, tmp_path: Path) -> None:
    settings = given(TrainClsConfig(), path=str(tiny_set), model="scratch", epochs=2, **TRAINING, **ADVERSARIAL)
    train_cls(settings, tmp_path / "first")
    train_cls(settings, tmp_path / "second")
    assert have_equal_weights(tmp_path / "first", tmp_path / "second")


@pytest.mark.parametrize(("train", "default"), [(train_cls, TrainClsConfig()), (train_seg, TrainSegConfig())])
@pytest.mark.parametrize(
    ("attack_name", "message"), [("square-9", "adversarial training supports"), ("pdg-3", "did you mean pgd")]
)
def test_attacks_that_training_does_not_support_are_errors(
    tiny_set: Path, tmp_path: Path, train: Any, default: Any, attack_name: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(given(default, path=str(tiny_set), adv_train=attack_name), tmp_path / "run")
    assert not (tmp_path / "run").exists()  # the name can be used again
