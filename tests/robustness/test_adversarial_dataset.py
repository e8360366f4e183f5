"""Saved adversarial images: they score as in the attack's table, and other images are never overwritten."""

from dataclasses import replace
from pathlib import Path

import pytest

from vocctl.cli.app import main
from vocctl.config import AttackConfig, EvalOptions
from vocctl.errors import ConfigError, DataError
from vocctl.tasks import evaluate_seg
from vocctl.tasks.attack import attack, transfer


def test_other_images_are_not_overwritten(runs: dict[str, Path], tmp_path: Path) -> None:
    config, saved = AttackConfig(attack=("fgsm",), eps=("8/255",), images=2), tmp_path / "saved"
    for _ in range(2):  # the same attack on the same images may be repeated
        attack([str(runs["seg"])], config, save_adv=saved)
    manifest = (saved / "fgsm-8-255" / "manifest.json").read_bytes()
    changes = [
        {"names": [str(runs["cls"])]}, {"config": replace(config, images=3)}, {"checkpoint": "final"},
    ]  # fmt: skip
    for change in changes:
        with pytest.raises(ConfigError, match="contains other images"):
            attack(**({"names": [str(runs["seg"])], "config": config, "save_adv": saved} | change))
    (tmp_path / "mine" / "fgsm-8-255").mkdir(parents=True)
    with pytest.raises(ConfigError, match="contains other images"):
        attack([str(runs["seg"])], config, save_adv=tmp_path / "mine")
    assert (saved / "fgsm-8-255" / "manifest.json").read_bytes() == manifest


def test_images_of_a_held_out_split_can_be_evaluated_by_the_run(runs: dict[str, Path], tmp_path: Path) -> None:
    flags = ["--encoder", "scratch", "--size", "32", "--size-from", "0", "--epochs", "1", "--batch", "4", "--quiet"]
    run = str(tmp_path / "run")
    assert main(["train-seg", "--data", str(runs["data"]), "--val", "0.4", "--out", run, *flags]) == 0
    result = attack([run], AttackConfig(attack=("fgsm",), eps=("8/255",)), save_adv=tmp_path / "saved")
    again = evaluate_seg.evaluate(run, EvalOptions(data=tmp_path / "saved" / "fgsm-8-255"))
    assert again.main_score == result.rows[1].scores["mean_iou"]
    with pytest.raises(DataError, match="validated on different images"):
        transfer([str(runs["seg"]), run], AttackConfig(attack=("fgsm",), eps=("8/255",)))
