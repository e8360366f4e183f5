"""Saved adversarial images: they score as in the attack's table, and other images are never overwritten."""

from dataclasses import replace
from pathlib import Path

import pytest

from vocctl.attacks.table import parse_attack
from vocctl.cli.app import main
from vocctl.config import AttackConfig, EvalOptions
from vocctl.errors import ConfigError, DataError
from vocctl.robustness.adversarial_dataset import AdversarialDataset
from vocctl.robustness.outcomes import GroundTruth
from vocctl.robustness.victims import open_victim
from vocctl.tasks import evaluate_seg
from vocctl.tasks.attack import attack, transfer


def test_other_images_are_not_overwritten(attackable_runs: dict[str, Path], tmp_path: Path) -> None:
    config, saved = AttackConfig(attack=("fgsm",), eps=("8/255",), images=2), tmp_path / "saved"
    for _ in range(2):  # the same attack on the same images may be repeated
        attack([str(attackable_runs["seg"])], config, save_adv=saved)
    manifest = (saved / "fgsm-8-255" / "manifest.json").read_bytes()
    changes = [
        {"names": [str(attackable_runs["cls"])]}, {"config": replace(config, images=3)},
        {"options": EvalOptions(checkpoint="final")},
    ]  # fmt: skip
    for change in changes:
        with pytest.raises(ConfigError, match="contains other images"):
            attack(**({"names": [str(attackable_runs["seg"])], "config": config, "save_adv": saved} | change))
    (tmp_path / "mine" / "fgsm-8-255").mkdir(parents=True)
    with pytest.raises(ConfigError, match="contains other images"):
        attack([str(attackable_runs["seg"])], config, save_adv=tmp_path / "mine")
    assert (saved / "fgsm-8-255" / "manifest.json").read_bytes() == manifest


def test_two_attacks_cannot_be_saved_in_one_folder(attackable_runs: dict[str, Path], tmp_path: Path) -> None:
    victim = open_victim([str(attackable_runs["seg"])], "best", None)
    dataset = AdversarialDataset(
        tmp_path, "val", attackable_runs["data"], victim, GroundTruth((), [], []), AttackConfig(attack=("fgsm",))
    )
    one, two = (parse_attack(f"adv:{parent}/generator") for parent in ("one", "two"))
    dataset.check_folders([(one, "8/255"), (two, "4/255")])
    with pytest.raises(ConfigError, match="two attacks would be saved in adv-generator-8-255"):
        dataset.check_folders([(one, "8/255"), (two, "8/255")])


def test_images_of_a_held_out_split_can_be_evaluated_by_the_run(
    attackable_runs: dict[str, Path], tmp_path: Path
) -> None:
    flags = ["--encoder", "scratch", "--size", "32", "--size-from", "0", "--epochs", "1", "--batch", "4", "--quiet"]
    run = str(tmp_path / "run")
    assert main(["train-seg", "--data", str(attackable_runs["data"]), "--val", "0.4", "--out", run, *flags]) == 0
    result = attack([run], AttackConfig(attack=("fgsm",), eps=("8/255",)), save_adv=tmp_path / "saved")
    again = evaluate_seg.evaluate(run, EvalOptions(data=tmp_path / "saved" / "fgsm-8-255"))
    assert again.main_score == result.rows[1].scores["mean_iou"]
    with pytest.raises(DataError, match="validated on different images"):
        transfer([str(attackable_runs["seg"]), run], AttackConfig(attack=("fgsm",), eps=("8/255",)))
